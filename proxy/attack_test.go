package proxy_test

import (
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/test/suites/attack"
)

// TestNobodyArrivesAsSomebodyElse sends every attack over raw connections and HTTP/2 frames. The API server must
// see jane, the proxy's credential, and no other header that names an identity. Each refusal must be recorded.
func TestNobodyArrivesAsSomebodyElse(t *testing.T) {
	t.Parallel()
	w, u := &world{}, &attack.Upstream{}
	w.start(t, u.ServeHTTP)
	refused, before := 0, 0
	suite := attack.Suite{Address: w.front.Listener.Addr().String(), Token: w.token, Upstream: u, OnAnswer: func(name, answer string) {
		// The HTTP server itself refuses this request in plain text, before the handler runs.
		now := w.count(audit.ProxyRefused)
		if strings.Contains(answer, "fairlead-proxy") {
			if refused++; now == before {
				t.Errorf("%s: the refusal is not recorded", name)
			}
		}
		before = now
	}}
	result, err := suite.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Findings {
		t.Error(f)
	}
	if result.Attacks < 500 || result.Arrived == 0 || refused == 0 {
		t.Errorf("%d attacks, %d arrived, %d refused by the proxy", result.Attacks, result.Arrived, refused)
	}
	t.Logf("%d attacks, %d arrived, as jane; %d refused by the proxy", result.Attacks, result.Arrived, refused)
}
