package probe_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

func env() connectors.Env {
	return connectors.Env{ID: "x", Now: time.Now, CallbackURL: "https://l.test/callback/x"}
}

// failed returns the first step that failed.
func failed(findings []connectors.Finding) connectors.Finding {
	for _, f := range findings {
		if f.State == connectors.Failed {
			return f
		}
	}
	return connectors.Finding{}
}

// TestNetworkFaultsAreNamed breaks each thing for real.
func TestNetworkFaultsAreNamed(t *testing.T) {
	t.Parallel()
	ca, err := pki.NewCA("probe", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	silent := listen(t, func(c net.Conn) { time.Sleep(8 * time.Second); c.Close() })
	cutting := listen(t, func(c net.Conn) { c.Close() })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	good := tlsServer(t, ca, time.Now())
	old := tlsServer(t, ca, time.Now().AddDate(-10, 0, 0))
	closed := listen(t, nil)
	for _, c := range []struct{ name, address, ca, cause, remedy string }{
		{"no such host", "https://nowhere.invalid", "", "no host", "spelling"},
		{"refused", "https://" + closed, "", "refused", "port"},
		{"silent", "https://" + silent, "", "no answer in time", "firewalls"},
		{"cut", "https://" + cutting, "", "cut", "protocol"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "", "no TLS", "StartTLS"},
		{"unknown authority", good, "", "not trusted", "CA certificate"},
		{"another name", strings.Replace(good, "127.0.0.1", "127.0.0.2", 1), string(ca.PEM), "", ""},
		{"expired", old, string(ca.PEM), "good from", "renewed"},
		{"not an address", "nonsense", "", "no address", "https://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := &probe.Run{Env: env()}
			if run.Site(t.Context(), c.address, c.ca) {
				t.Fatalf("passed: %+v", run.Findings())
			}
			got := failed(run.Findings())
			if !strings.Contains(got.Detail, c.cause) || !strings.Contains(got.Remedy, c.remedy) || got.Remedy == "" {
				t.Errorf("%+v", got)
			}
		})
	}
	run := &probe.Run{Env: env()}
	if !run.Site(t.Context(), good, string(ca.PEM)) {
		t.Errorf("good: %+v", run.Findings())
	}
}

func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if serve == nil {
		ln.Close()
		return ln.Addr().String()
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return ln.Addr().String()
}

func tlsServer(t *testing.T, ca *pki.CA, at time.Time) string {
	t.Helper()
	pair, err := ca.Server(at)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// TestOAuthFaultsAreNamed is about providers that answer, but not as they should.
func TestOAuthFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer  string
		status        int
		cause, remedy string
	}{
		{"wrong secret", `{"error":"invalid_client"}`, 401, "refused the client", "show a secret once"},
		{"wrong secret, no body", ``, 401, "refused the client", "show a secret once"},
		{"wrong secret, as a form", `error=incorrect_client_credentials`, 200, "refused the client", "show a secret once"},
		{"callback not known", `{"error":"redirect_uri_mismatch"}`, 400, "does not know the callback", "Paste it"},
		{"not a token endpoint", `<html>`, 404, "answered 404", "address of the token endpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			}))
			t.Cleanup(s.Close)
			got := failed(probe.OAuth(t.Context(), env(), s.URL, "", probe.OAuthClient{TokenURL: s.URL + "/token", IDLabel: "Client ID", SecretLabel: "Secret"}))
			if !strings.Contains(got.Detail, c.cause) || !strings.Contains(got.Remedy, c.remedy) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestDiscoveryFaultsAreNamed is about issuers.
func TestDiscoveryFaultsAreNamed(t *testing.T) {
	t.Parallel()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/slash"):
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL + "/slash/", "jwks_uri": s.URL + "/jwks"})
		case strings.HasPrefix(r.URL.Path, "/nokeys"):
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL + "/nokeys", "jwks_uri": s.URL + "/jwks"})
		case strings.HasPrefix(r.URL.Path, "/page"):
			_, _ = w.Write([]byte("<html>"))
		case r.URL.Path == "/jwks":
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case strings.HasPrefix(r.URL.Path, "/clock"):
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL + "/clock", "jwks_uri": s.URL + "/jwks"})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	for path, want := range map[string]string{"/slash": "names another issuer", "/nokeys": "publishes no keys", "/page": "did not answer with JSON", "/nothing": "answered 404"} {
		got := failed(probe.OpenID(t.Context(), env(), s.URL+path, "", probe.OAuthClient{}))
		if !strings.Contains(got.Detail, want) || got.Remedy == "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	warned := false
	for _, f := range probe.OpenID(t.Context(), env(), s.URL+"/clock", "", probe.OAuthClient{}) {
		warned = warned || f.State == connectors.Warned && strings.Contains(f.Detail, "clock")
	}
	if !warned {
		t.Error("an hour between the clocks is not worth a word")
	}
}

// TestASecretDoesNotTravelOn: a token endpoint that redirects must not get the
// secret carried elsewhere.
func TestASecretDoesNotTravelOn(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked elsewhere: %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	if got := failed(probe.OAuth(t.Context(), env(), s.URL, "", probe.OAuthClient{TokenURL: s.URL})); got.Detail == "" {
		t.Error("a redirect passed")
	}
}

func TestExplainKnowsDeadlines(t *testing.T) {
	t.Parallel()
	cause, remedy := probe.Explain(&url.Error{Op: "Get", URL: "x", Err: context.DeadlineExceeded})
	if !strings.Contains(cause, "in time") || remedy == "" {
		t.Errorf("%s %s", cause, remedy)
	}
}

// TestExplainReadsTexts has what golang.org/x/oauth2 writes, wrapped as Dex's
// connectors do: as text.
func TestExplainReadsTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`gitlab: failed to get token: oauth2: "invalid_client"`:                                   "refused the client (invalid_client)",
		`github: failed to get token: oauth2: "incorrect_client_credentials" "The client_id …"`:   "refused the client (incorrect_client_credentials)",
		`oidc: failed to get token: oauth2: "redirect_uri_mismatch"`:                              "does not know the callback address",
		`oidc: failed to get token: oauth2: "invalid_grant" "Code not valid"`:                     "did not take its own code back",
		`oidc: failed to get token: oauth2: "server_error"`:                                       "answered server_error",
		"gitea: failed to get token: oauth2: cannot fetch token: 404 Not Found\nResponse: <html>": "answered 404 Not Found.",
		"something else": "something else",
	} {
		cause, remedy := probe.Explain(errors.New(text))
		if !strings.Contains(cause, want) || remedy == "" || strings.Contains(cause, "<html>") {
			t.Errorf("%s: %q %q", text, cause, remedy)
		}
	}
}
