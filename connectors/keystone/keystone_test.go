package keystone_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/keystone"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakekeystone"
)

func config(s *fakekeystone.Server) *keystone.Config {
	return &keystone.Config{Host: s.URL, Domain: "default", Username: fakekeystone.Service, Password: secret.NewValue(fakekeystone.ServicesWord)}
}

func open(t *testing.T, c *keystone.Config) connectors.Passworder {
	t.Helper()
	opened, err := c.Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	return opened.(connectors.Passworder)
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		s := fakekeystone.Start(t)
		c := open(t, config(s))
		return &connectortest.Harness{
			Connector: c,
			SignIn: func(ctx context.Context) (connectors.Identity, error) {
				return c.Login(ctx, "JANE", fakekeystone.JanesWord) // the name is as Keystone writes it
			},
			Want:  connectors.Identity{Subject: "4242", Username: "jane", Name: "jane", Email: "jane@example.test", Groups: []string{"acme", "platform"}},
			Leave: s.Leave, Break: s.Close,
		}
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, upset *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		opened, err := config(fakekeystone.Start(t)).Open(t.Context(), connectortest.Env(upset))
		if err != nil {
			t.Fatal(err)
		}
		return &connectortest.Harness{Connector: opened, SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return opened.(connectors.Passworder).Login(ctx, fakekeystone.Jane, fakekeystone.JanesWord)
		}}
	}, []connectortest.Answer{
		connectortest.Unreachable,
		{Name: "account removed", Want: connectors.OutcomeDenied, Path: "/users/", Status: http.StatusNotFound, Body: `{"error":{"message":"Could not find user: 4242.","code":404,"title":"Not Found"}}`},
		{Name: "account disabled", Want: connectors.OutcomeDenied, Path: "/users/4242", Status: http.StatusOK, Body: `{"user":{"id":"4242","name":"jane","enabled":false}}`},
		{Name: "another account", Want: connectors.OutcomeDenied, Path: "/users/4242", Status: http.StatusOK, Body: `{"user":{"id":"4343","name":"eve","enabled":true}}`},
		{Name: "list of groups cut (list_limit)", Want: connectors.OutcomeMisconfigured, Path: "/groups", Status: http.StatusOK, Body: `{"groups":[{"name":"acme"}],"truncated":true}`},
		{Name: "a fault of Keystone", Want: connectors.OutcomeUnavailable, Path: "/users/", Status: http.StatusInternalServerError, Body: `{"error":{"message":"An unexpected error prevented the server from fulfilling your request.","code":500,"title":"Internal Server Error"}}`},
		{Name: "service user's password changed", Want: connectors.OutcomeMisconfigured, Path: "/auth/tokens", Status: http.StatusUnauthorized, Body: `{"error":{"message":"The request you have made requires authentication.","code":401,"title":"Unauthorized"}}`},
		{Name: "service user's role removed", Want: connectors.OutcomeMisconfigured, Path: "/users/", Status: http.StatusForbidden, Body: `{"error":{"message":"You are not authorized to perform the requested action: identity:get_user.","code":403,"title":"Forbidden"}}`},
		{Name: "the address moved", Want: connectors.OutcomeMisconfigured, Path: "/auth/tokens", Status: http.StatusNotFound, Body: `<html>404</html>`},
	}, map[connectors.Outcome]string{
		connectors.OutcomeSignInAgain:      "Keystone checks the password and its expiry at sign-ins only",
		connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
		connectors.OutcomeUnconfirmed:      "Keystone is asked as the service user",
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	connectortest.Passwords(t, open(t, config(fakekeystone.Start(t))), fakekeystone.Jane, fakekeystone.JanesWord)
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, keystone.Type())
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := fakekeystone.Start(t)
	connectortest.Accepts(t, config(s), nil)
	for what, change := range map[string]func(c *keystone.Config){
		"refused the service user": func(c *keystone.Config) { c.Password = secret.NewValue("wrong") },
		"Keystone answered 404":    func(c *keystone.Config) { c.Host += "/identity" },
		"connection was refused":   func(c *keystone.Config) { c.Host = "http://127.0.0.1:1" },
	} {
		c := config(s)
		change(c)
		connectortest.Finds(t, c, nil, what)
	}
	byName := config(s)
	byName.Domain, byName.Project = "Default", "service"
	connectortest.Accepts(t, byName, nil)
}

// TestTheServiceUserIsNotThePerson: a fault of the service user is an outage. It never
// looks like a wrong password of the user.
func TestTheServiceUserIsNotThePerson(t *testing.T) {
	t.Parallel()
	cfg := config(fakekeystone.Start(t))
	cfg.Password = secret.NewValue("changed")
	c := open(t, cfg)
	_, atLogin := c.Login(t.Context(), fakekeystone.Jane, fakekeystone.JanesWord)
	_, atRefresh := c.(connectors.Refresher).Refresh(t.Context(), connectors.Identity{Subject: "4242"})
	for _, err := range []error{atLogin, atRefresh} {
		if err == nil || errors.Is(err, connectors.ErrBadCredentials) || errors.Is(err, connectors.ErrDenied) {
			t.Errorf("%v, want an outage", err)
		}
	}
}

// expiredPassword answers a right password as Keystone does when it has expired.
type expiredPassword struct{}

func (expiredPassword) RoundTrip(r *http.Request) (*http.Response, error) {
	const said = `{"error":{"code":401,"message":"The password is expired and needs to be changed for user: 4242.","title":"Unauthorized"}}`
	return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(said)), Request: r}, nil
}

// TestAnExpiredPasswordIsSaid: Keystone says it only for the right password, so no guesser learns of the account.
func TestAnExpiredPasswordIsSaid(t *testing.T) {
	t.Parallel()
	opened, err := config(fakekeystone.Start(t)).Open(t.Context(), connectortest.Env(expiredPassword{}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = opened.(connectors.Passworder).Login(t.Context(), fakekeystone.Jane, fakekeystone.JanesWord)
	if connectors.OutcomeOf(err) != connectors.OutcomeSignInAgain || !strings.Contains(err.Error(), "expired") {
		t.Errorf("Login = %v", err)
	}
}

func TestADisabledAccountIsDenied(t *testing.T) {
	t.Parallel()
	s := fakekeystone.Start(t)
	c := open(t, config(s))
	id, err := c.Login(t.Context(), fakekeystone.Jane, fakekeystone.JanesWord)
	if err != nil {
		t.Fatal(err)
	}
	s.Disable()
	if _, err := c.(connectors.Refresher).Refresh(t.Context(), id); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("Refresh = %v", err)
	}
	cfg := config(fakekeystone.Start(t))
	cfg.Groups = []string{"others"}
	if _, err := open(t, cfg).Login(t.Context(), fakekeystone.Jane, fakekeystone.JanesWord); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("in no allowed group: %v", err)
	}
}
