package google_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/google"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
	"github.com/fairlead-auth/fairlead/test/harness/forwardproxy"
)

const accounts = "accounts.google.com"

// proxy is before the connector, as a company has one: the connector's address is
// fixed, and stays so in the test.
var proxy forwardproxy.Proxy

func TestMain(m *testing.M) { os.Exit(forwardproxy.Run(m, &proxy)) }

func start(t *testing.T) *fakeoidc.Server {
	t.Helper()
	s := fakeoidc.Start(t)
	s.Issuer, s.Domain = "https://"+accounts, "example.test"
	proxy.Lead(s.Config.Handler, accounts)
	return s
}

func config(clientSecret string) *google.Config {
	return &google.Config{ClientID: fakeoidc.ClientID, ClientSecret: secret.NewValue(clientSecret), HostedDomains: []string{"example.test"}}
}

func open(t *testing.T) connectors.Redirecter {
	t.Helper()
	return openWith(t, config(fakeoidc.ClientSecret))
}

func openWith(t *testing.T, cfg *google.Config) connectors.Redirecter {
	t.Helper()
	c, err := cfg.Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	redirecter, ok := c.(connectors.Redirecter)
	if !ok {
		t.Fatal("it does not redirect")
	}
	return redirecter
}

func TestOutcomes(t *testing.T) { //nolint:paralleltest // the tests share one stand-in
	start(t)
	connectortest.Outcomes(t, func(t *testing.T, upset *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		c, err := config(fakeoidc.ClientSecret).Open(t.Context(), connectortest.Env(upset))
		if err != nil {
			t.Fatal(err)
		}
		return &connectortest.Harness{Connector: c, SignIn: func(context.Context) (connectors.Identity, error) {
			return signIn(t, c.(connectors.Redirecter)), nil
		}}
	}, []connectortest.Answer{
		connectortest.Unreachable, connectortest.NothingToAskWith,
		{Name: "access revoked by the user", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`},
		{Name: "account disabled", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"Account has been deleted"}`},
		{Name: "session control of Workspace", Want: connectors.OutcomeSignInAgain, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_uri":"https://support.google.com/a/answer/9368756","error_subtype":"invalid_rapt"}`},
		{Name: "a fault of Google", Want: connectors.OutcomeUnavailable, Path: "/token", Status: http.StatusInternalServerError, Body: `{"error":"internal_failure"}`},
		{Name: "client deleted", Want: connectors.OutcomeMisconfigured, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"deleted_client","error_description":"The OAuth client was deleted."}`},
		{Name: "client secret changed", Want: connectors.OutcomeMisconfigured, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"Unauthorized"}`},
	}, map[connectors.Outcome]string{connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it"})
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
	want := connectors.Identity{Subject: "subject-1", Username: "jane@example.test", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true}
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
	proxy.Lead(nil, accounts)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := refresh(ctx, t, c, jane); err == nil || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("after the deadline: %v", err)
	}
	proxy.Lead(s.Config.Handler, accounts)
	s.Revoke()
	if _, err := refresh(t.Context(), t, c, jane); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("the account took the consent back: %v, want ErrDenied", err)
	}
}

func TestOutage(t *testing.T) { //nolint:paralleltest // one stand-in
	proxy.Lead(nil, accounts)
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
	connectortest.Accepts(t, config(fakeoidc.ClientSecret), nil)
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
