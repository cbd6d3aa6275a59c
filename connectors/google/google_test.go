package google_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/google"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakeoidc"
	"github.com/fairlead-auth/fairlead/test/pki"
)

const accounts = "accounts.google.com"

// standIn answers for accounts.google.com.
var standIn atomic.Pointer[fakeoidc.Server]

// TestMain puts a proxy before the connector, as a company has one, that leads to a
// stand-in: the connector's address is fixed, and stays so in the test.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "google")
	if err == nil {
		err = detour(dir)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func detour(dir string) error {
	ca, err := pki.NewCA("google", time.Now())
	if err != nil {
		return err
	}
	pair, err := ca.Server(time.Now(), accounts)
	if err != nil {
		return err
	}
	cert, err := pair.TLS()
	if err != nil {
		return err
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		standIn.Load().Config.Handler.ServeHTTP(w, r)
	}))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { connect(w, r, front.Listener.Addr().String()) }))
	file := dir + "/ca.crt"
	return errors.Join(os.WriteFile(file, ca.PEM, 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("HTTPS_PROXY", proxy.URL))
}

// connect is the CONNECT method (RFC 9110 section 9.3.6) for one host. Without a
// stand-in the host is down.
func connect(w http.ResponseWriter, r *http.Request, address string) {
	if r.Method != http.MethodConnect || r.Host != accounts+":443" || standIn.Load() == nil {
		http.Error(w, "no way to "+r.Host, http.StatusBadGateway)
		return
	}
	server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
}

func start(t *testing.T) *fakeoidc.Server {
	t.Helper()
	s := fakeoidc.Start(t)
	s.Issuer, s.Domain = "https://"+accounts, "example.test"
	standIn.Store(s)
	return s
}

func config(clientSecret string) *google.Config {
	return &google.Config{ClientID: fakeoidc.ClientID, ClientSecret: secret.NewValue(clientSecret), HostedDomains: []string{"example.test"}}
}

func open(t *testing.T) connectors.Redirecter {
	t.Helper()
	c, err := config(fakeoidc.ClientSecret).Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	redirecter, ok := c.(connectors.Redirecter)
	if !ok {
		t.Fatal("it does not redirect")
	}
	return redirecter
}

// TestGoogle goes through a person's whole time: the tests share one stand-in, so
// they are steps.
func TestGoogle(t *testing.T) { //nolint:paralleltest // see above
	s := start(t)
	c := open(t)
	address, _, err := c.AuthURL(t.Context(), connectortest.Callback, "state")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host != accounts || u.Query().Get("access_type") != "offline" {
		t.Errorf("%s, %v: Google gives a refresh token only for offline access", address, err)
	}
	jane := signIn(t, c)
	want := connectors.Identity{Subject: "subject-1", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true}
	if diff := cmp.Diff(want, bare(jane)); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	again, err := refresh(t.Context(), t, c, jane)
	if diff := cmp.Diff(want, bare(again)); err != nil || diff != "" {
		t.Errorf("refresh: %v, identity (-want +got):\n%s", err, diff)
	}
	for _, domain := range []string{"elsewhere.test", "", "example.test.evil.test", "hd:example.test"} {
		s.Domain = "example.test"
		last := signIn(t, c)
		s.Domain = domain
		_, errSignIn := connectortest.Redirect(t.Context(), c, http.DefaultTransport)
		_, errRefresh := refresh(t.Context(), t, c, last)
		for _, err := range []error{errSignIn, errRefresh} {
			if !errors.Is(err, connectors.ErrDenied) || !strings.Contains(err.Error(), "none of the hosted domains") {
				t.Errorf("an account of %q: %v, want ErrDenied", domain, err)
			}
		}
	}
	s.Domain = "example.test"
	jane = signIn(t, c)
	standIn.Store(nil)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := refresh(ctx, t, c, jane); err == nil || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("after the deadline: %v", err)
	}
	standIn.Store(s)
	s.Revoke()
	if _, err := refresh(t.Context(), t, c, jane); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("who took the consent back: %v, want ErrDenied", err)
	}
}

func TestOutage(t *testing.T) { //nolint:paralleltest // one stand-in
	standIn.Store(nil)
	if _, err := config(fakeoidc.ClientSecret).Open(t.Context(), connectortest.Env(nil)); err == nil || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("Google is down: %v", err)
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, google.Type())
}

func TestHostedDomains(t *testing.T) {
	t.Parallel()
	for domain, good := range map[string]bool{"example.test": true, "https://example.test": false, "@example.test": false, "*.example.test": false, "example": false} {
		c := config("x")
		c.HostedDomains = append(c.HostedDomains, domain)
		if problems := c.Validate(); good != (len(problems) == 0) || !good && problems[0].Field != "hostedDomains[1]" {
			t.Errorf("%s: %v", domain, problems)
		}
	}
}

func TestCheck(t *testing.T) { //nolint:paralleltest // one stand-in
	start(t)
	for _, f := range config(fakeoidc.ClientSecret).Check(t.Context(), connectortest.Env(nil)) {
		if f.State == connectors.Failed {
			t.Errorf("%+v", f)
		}
	}
	connectortest.Refuses(t, config("wrong"), nil)
}

func signIn(t *testing.T, c connectors.Redirecter) connectors.Identity {
	t.Helper()
	id, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func refresh(ctx context.Context, t *testing.T, c connectors.Redirecter, last connectors.Identity) (connectors.Identity, error) {
	t.Helper()
	r, ok := c.(connectors.Refresher)
	if !ok {
		t.Fatal("it can't refresh")
	}
	return r.Refresh(ctx, last)
}

func bare(id connectors.Identity) connectors.Identity {
	id.Data = nil
	return id
}
