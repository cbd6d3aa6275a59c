package forward

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// TestCAReload replaces the API server's certificate and the CA that signed it.
func TestCAReload(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/ca.crt"
	var current atomic.Pointer[tls.Certificate]
	renew := func() {
		ca, err := pki.NewCA("test", time.Now())
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
		current.Store(&cert)
		if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }}
	server.StartTLS()
	t.Cleanup(server.Close)
	server.TLS.Certificates = nil
	f, err := New(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAFile: file}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx, 10*time.Millisecond) }()
	t.Cleanup(func() { cancel(); <-done })
	works := func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, refusal := f.send(req, &Call{Kind: Short})
		if refusal == nil {
			resp.Body.Close()
		}
		return refusal == nil
	}
	if !works() {
		t.Fatal("the first CA does not work")
	}
	renew()
	for range 200 {
		if works() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the new CA was not loaded")
}

// TestProxyCredential checks that every request carries the proxy's credential, except with
// WithoutProxyCredential.
func TestProxyCredential(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Authorization"] = r.Header["Authorization"]
	}))
	t.Cleanup(server.Close)
	file := t.TempDir() + "/token"
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]*rest.Config{"[Bearer from-file]": {BearerTokenFile: file}, "[Bearer literal]": {BearerToken: "literal"}, "[]": {}, "[Basic YTpi]": {Username: "a", Password: "b"}} {
		cfg.Host, cfg.Insecure = server.URL, true
		f, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			method string
			call   Call
			want   string
		}{
			{http.MethodGet, Call{Kind: Short}, want},
			{http.MethodDelete, Call{Kind: Short}, want},
			{http.MethodGet, Call{Kind: Stream}, want},
			{http.MethodGet, Call{Kind: Short, WithoutProxyCredential: true}, "[Bearer own]"},
		} {
			req, err := http.NewRequestWithContext(t.Context(), c.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.call.WithoutProxyCredential {
				req.Header.Set("Authorization", "Bearer own")
			}
			resp, refusal := f.send(req, &c.call)
			if refusal != nil {
				t.Fatal(refusal)
			}
			resp.Body.Close()
			if got := fmt.Sprint(resp.Header["X-Authorization"]); got != c.want {
				t.Errorf("%s %s: %s, want %s", c.method, c.call.Kind, got, c.want)
			}
		}
	}
	for name, cfg := range map[string]*rest.Config{"no file": {BearerTokenFile: file + "x"}, "token and password": {BearerToken: "a", Username: "b"}} {
		cfg.Host = server.URL
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestAddress compares the address with the one that net/http dials.
func TestAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"https://10.0.0.1": "10.0.0.1:443", "https://10.0.0.1:6443/base": "10.0.0.1:6443", "https://[::1]:6443": "[::1]:6443", "https://[2001:db8::1]": "[2001:db8::1]:443",
		"https://api.example.com": "api.example.com:443", "https://kübe.example.com:6443": "xn--kbe-hoa.example.com:6443", "https://under_score.example.com": "under_score.example.com:443",
	} {
		if got, err := address(&rest.Config{Host: host}); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", host, got, err, want)
		}
	}
}
