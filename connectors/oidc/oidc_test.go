package oidc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/oidc"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
)

const callback = "http://127.0.0.1:1/callback/corp"

func open(ctx context.Context, s *fakeoidc.Server, change func(*oidc.Config)) (connectors.Connector, error) {
	cfg := &oidc.Config{Issuer: s.URL, ClientID: fakeoidc.ClientID, ClientSecret: secret.NewValue(fakeoidc.ClientSecret)}
	change(cfg)
	return cfg.Open(ctx, connectors.Env{ID: "corp", CallbackURL: callback, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
}

func signIn(ctx context.Context, c connectors.Redirecter) (connectors.Identity, error) {
	address, kept, err := c.AuthURL(ctx, callback, "state-1")
	if err != nil {
		return connectors.Identity{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return connectors.Identity{}, err
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return connectors.Identity{}, err
	}
	resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.Callback(ctx, callback, kept, httptest.NewRequest(http.MethodGet, location.String(), nil).WithContext(ctx))
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		s := fakeoidc.Start(t)
		c, err := open(t.Context(), s, func(*oidc.Config) {})
		if err != nil {
			t.Fatal(err)
		}
		redirecter := c.(connectors.Redirecter)
		return &connectortest.Harness{
			Connector: c,
			SignIn:    func(ctx context.Context) (connectors.Identity, error) { return signIn(ctx, redirecter) },
			Want: connectors.Identity{
				Subject: "subject-1", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"dev", "ops"},
			},
			Leave: s.Revoke,
			Break: s.Close,
		}
	})
}

func TestAllowedGroups(t *testing.T) {
	t.Parallel()
	s := fakeoidc.Start(t)
	for group, allowed := range map[string]bool{"dev": true, "admins": false} {
		c, err := open(t.Context(), s, func(c *oidc.Config) { c.AllowedGroups = []string{group} })
		if err != nil {
			t.Fatal(err)
		}
		_, err = signIn(t.Context(), c.(connectors.Redirecter))
		if allowed && err != nil || !allowed && !errors.Is(err, connectors.ErrDenied) {
			t.Errorf("%s: %v", group, err)
		}
	}
}

func TestOpenKeepsItsDeadline(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang); silent.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	cfg := &oidc.Config{Issuer: silent.URL, ClientID: "x", ClientSecret: secret.NewValue("x")}
	if _, err := cfg.Open(ctx, connectors.Env{Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open = %v, want the deadline", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if problems := (&oidc.Config{Issuer: "http://idp.example.com", CA: "x"}).Validate(); len(problems) != 4 {
		t.Errorf("faults %v", problems)
	}
}
