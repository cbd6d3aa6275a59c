package attack_test

import (
	"crypto/tls"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/attack"
	"github.com/fairlead-auth/fairlead/test/pki"
)

var (
	target   = flag.String("target", "", "host and port of a proxy to attack")
	token    = flag.String("token", "", "a good token for it, of somebody without rights")
	upstream = flag.String("upstream", "127.0.0.1:9443", "where to listen as the API server that the proxy forwards to")
)

// TestTarget attacks the proxy that the flags name: make attack.
func TestTarget(t *testing.T) {
	t.Parallel()
	if *target == "" {
		t.Skip("no -target: TestItFindsHoles and proxy's own test run the suite")
	}
	u := &attack.Upstream{}
	ca, err := pki.NewCA("attack", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: *upstream, Handler: u, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServeTLS("", "") }()
	t.Cleanup(func() { _ = server.Close() })
	select {
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(time.Second):
	}
	result, err := (&attack.Suite{Address: *target, Token: *token, Upstream: u}).Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d attacks, %d requests arrived", result.Attacks, result.Arrived)
	for _, f := range result.Findings {
		t.Error(f)
	}
}

// naive is a proxy as one writes it in an afternoon: it sets the identity where the client
// can take it away again (the class of CVE-2021-31999), and lets most headers through.
func naive(to *url.URL) http.Handler {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = to.Scheme, to.Host, ""
		out.Header.Set("Authorization", "Bearer proxy-credential")
		out.Header.Set("Impersonate-User", "corp:jane")
		for _, list := range out.Header["Connection"] {
			for name := range strings.SplitSeq(list, ",") {
				out.Header.Del(strings.TrimSpace(name))
			}
		}
		resp, err := transport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	})
}

// TestItFindsHoles attacks a proxy that has them.
func TestItFindsHoles(t *testing.T) {
	t.Parallel()
	u := &attack.Upstream{}
	behind := httptest.NewTLSServer(u)
	t.Cleanup(behind.Close)
	to, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(naive(to))
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	result, err := (&attack.Suite{Address: front.Listener.Addr().String(), Token: "x", Upstream: u}).Run()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range result.Findings {
		found[f.Attack] = true
	}
	for _, hole := range []string{
		"drops by Connection: Impersonate-User", "drops by Connection: Authorization", "says Impersonate-Group", "says Impersonate_Group", "front proxy X-Remote-User", "frames: says impersonate-uid", "frames: says x-remote-group",
	} {
		if !found[hole] {
			t.Errorf("%q is not found", hole)
		}
	}
	if result.Attacks < 300 {
		t.Errorf("%d attacks, want 300", result.Attacks)
	}
	t.Logf("%d attacks, %d arrived, %d holes", result.Attacks, result.Arrived, len(found))
}

// TestItWantsAProxy: a good request has to arrive first.
func TestItWantsAProxy(t *testing.T) {
	t.Parallel()
	closed := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(closed.Close)
	_, err := (&attack.Suite{Address: closed.Listener.Addr().String(), Token: "x", Upstream: &attack.Upstream{}}).Run()
	if err == nil || !strings.Contains(err.Error(), "arrives 0 times") {
		t.Error(err)
	}
}
