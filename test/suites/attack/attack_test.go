package attack_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/suites/attack"
)

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
