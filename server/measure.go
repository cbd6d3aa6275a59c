package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/oidc/token"
)

// measure lets a recorder see each answer of the token endpoint and of each connector, for the
// admin pages.
func (c *Config) measure(recorder *latency.Recorder) {
	path := strings.TrimSuffix(c.URL.Path, "/") + token.Path
	observe, asked := c.ObserveRequest, c.ObserveUpstream
	c.ObserveRequest = func(method, route string, status int, took time.Duration) {
		if method == http.MethodPost && route == path {
			recorder.Observe(store.SubjectToken, took, status >= http.StatusInternalServerError)
		}
		if observe != nil {
			observe(method, route, status, took)
		}
	}
	c.ObserveUpstream = func(connector, operation string, took time.Duration, up bool) {
		recorder.Observe(store.ConnectorSubject(connector), took, !up)
		if asked != nil {
			asked(connector, operation, took, up)
		}
	}
}
