package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/portal/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// lookTimeout is the deadline of a request to an API server.
const lookTimeout = 5 * time.Second

// lookAt reads the version of an API server without authentication. It sends no token, because an admin typed the
// address.
func lookAt(ctx context.Context, cluster *store.Cluster) admin.Health {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: probe.Roots(cluster.CA)},
	}}
	began := time.Now()
	health := admin.Health{}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cluster.Server, "/")+"/version", http.NoBody)
	if err != nil {
		health.Fault, health.Remedy = probe.Explain(err)
		return health
	}
	res, err := client.Do(req)
	health.Took = time.Since(began)
	if err != nil {
		health.Fault, health.Remedy = probe.Explain(err)
		return health
	}
	defer func() { _ = res.Body.Close() }()
	health.Reachable = true
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		health.Ends = res.TLS.PeerCertificates[0].NotAfter
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxStatus)).Decode(&version)
	switch {
	case res.StatusCode == http.StatusOK && err == nil:
		health.Version = version.GitVersion
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		health.Version = "hidden from unauthenticated requests"
	default:
		health.Fault, health.Remedy = fmt.Sprintf("The address answered %s.", res.Status), "Check that it is the address of an API server or of fairlead-proxy."
	}
	return health
}
