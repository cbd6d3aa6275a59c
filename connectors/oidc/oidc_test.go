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

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, upset *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		s := fakeoidc.Start(t)
		cfg := &oidc.Config{Issuer: s.URL, ClientID: fakeoidc.ClientID, ClientSecret: secret.NewValue(fakeoidc.ClientSecret), UserInfo: true, GroupsClaim: "roles"}
		c, err := cfg.Open(t.Context(), connectortest.Env(upset))
		if err != nil {
			t.Fatal(err)
		}
		return &connectortest.Harness{Connector: c, SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return signIn(ctx, c.(connectors.Redirecter))
		}}
	}, []connectortest.Answer{
		connectortest.Unreachable, connectortest.NothingToAskWith,
		{Name: "session ended (Keycloak)", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"Session not active"}`},
		{Name: "user is blocked (Auth0)", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"unauthorized","error_description":"user is blocked"}`},
		{Name: "access denied (Okta)", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"access_denied","error_description":"User is not assigned to the client application."}`},
		{Name: "another account", Want: connectors.OutcomeDenied, Path: "/userinfo", Status: http.StatusOK, Body: `{"sub":"subject-2"}`},
		{Name: "multi-factor demanded (Entra)", Want: connectors.OutcomeSignInAgain, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"interaction_required","error_description":"AADSTS50076","suberror":"basic_action"}`},
		{Name: "consent withdrawn", Want: connectors.OutcomeSignInAgain, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"consent_required"}`},
		{Name: "maintenance", Want: connectors.OutcomeUnavailable, Path: "/token", Status: http.StatusServiceUnavailable, Body: `<html>Back soon</html>`},
		{Name: "busy", Want: connectors.OutcomeUnavailable, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"temporarily_unavailable"}`},
		{Name: "client secret expired (Entra)", Want: connectors.OutcomeMisconfigured, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired."}`},
		{Name: "groups of a kind that can't be read", Want: connectors.OutcomeUnusableIdentity, Path: "/userinfo", Status: http.StatusOK, Body: `{"sub":"subject-1","roles":true}`},
	}, nil)
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
