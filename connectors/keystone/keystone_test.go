package keystone_test

import (
	"context"
	"errors"
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
			Want:  connectors.Identity{Subject: "4242", Username: "jane", Name: "jane", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "platform"}},
			Leave: s.Leave, Break: s.Close,
		}
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
