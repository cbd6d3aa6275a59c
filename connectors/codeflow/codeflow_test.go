package codeflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/codeflow"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/scriptedoidc"
)

func jane() map[string]any {
	return map[string]any{"sub": "u-1", "preferred_username": "jane", "groups": []string{"dev"}}
}

func open(t *testing.T, s *scriptedoidc.Server, change func(*codeflow.Config)) *codeflow.Connector {
	t.Helper()
	cfg := codeflow.Config{
		Issuer: s.URL, ClientID: "client", ClientSecret: secret.NewValue("secret"),
		Claims: codeflow.Mapping{ID: "sub", Username: "preferred_username", Name: "name", Email: "email", EmailVerified: "email_verified", Groups: "groups"},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := codeflow.Open(t.Context(), cfg, connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClaimsAreReported, also if they can't be used: a test sign-in shows why.
func TestClaimsAreReported(t *testing.T) {
	t.Parallel()
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: map[string]any{"sub": "u-1", "login": "jane", "groups": []string{"dev"}}})
	ctx := connectors.Observe(t.Context())
	if id, err := connectortest.Redirect(ctx, open(t, s, nil), http.DefaultTransport); connectors.OutcomeOf(err) != connectors.OutcomeUnusableIdentity {
		t.Fatalf("%+v, %v", id, err)
	}
	said := connectors.Observed(ctx)
	if !slices.Equal(said["login"], []string{"jane"}) || !slices.Equal(said["groups"], []string{"dev"}) || !slices.Equal(said["nonce"], []string{"(masked)"}) {
		t.Errorf("%v", said)
	}
}

// TestAThinUserInfoConfirmsNothing: the userinfo endpoint of AD FS answers with the subject alone. Without an ID token
// that is no fault of the user's data, and it does not end with the outage budget.
func TestAThinUserInfoConfirmsNothing(t *testing.T) {
	t.Parallel()
	thin := func(subject string) *scriptedoidc.Answer {
		return &scriptedoidc.Answer{Body: json.RawMessage(`{"sub":"` + subject + `"}`)}
	}
	for name, c := range map[string]struct {
		token   map[string]any
		subject string
		want    connectors.Outcome
	}{
		"renewed":                     {nil, "u-1", connectors.OutcomeUnconfirmed},
		"without a refresh token":     {map[string]any{"refresh_token": nil}, "u-1", connectors.OutcomeUnconfirmed},
		"another account":             {nil, "u-2", connectors.OutcomeDenied},
		"another account, no refresh": {map[string]any{"refresh_token": nil}, "u-2", connectors.OutcomeDenied},
	} {
		s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane(), UserInfo: thin("u-1"), Token: c.token})
		connector := open(t, s, nil)
		last, err := connectortest.Redirect(t.Context(), connector, http.DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		s.Say(scriptedoidc.Script{UserInfo: thin(c.subject)})
		renewed, err := connector.Refresh(t.Context(), last)
		if connectors.OutcomeOf(err) != c.want || c.token == nil && len(renewed.Data) == 0 {
			t.Errorf("%s: %v, want %s with the new token", name, err, c.want)
		}
	}
}

// TestKeysRotate: a token that is signed with a new key makes the connector read the
// keys again, but not more often than every ten seconds.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane()})
	c := open(t, s, nil)
	for range 3 {
		if _, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.KeysRead(); n != 1 {
		t.Errorf("the keys were read %d times, want once", n)
	}
	s.Rotate(t)
	for range 3 {
		_, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport)
		if connectors.OutcomeOf(err) != connectors.OutcomeMisconfigured {
			t.Errorf("a token with an unknown key: %v", err)
		}
	}
	if n := s.KeysRead(); n != 1 {
		t.Errorf("the keys were read %d times within ten seconds, want once", n)
	}
}

// TestAForgedTokenIsRefused, whatever it claims.
func TestAForgedTokenIsRefused(t *testing.T) {
	t.Parallel()
	s, other := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane()}), scriptedoidc.Start(t, scriptedoidc.Script{})
	c := open(t, s, nil)
	for name, token := range map[string]string{
		"signed by another provider": other.Token(t, jane()),
		"without a signature":        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1LTEifQ.",
		"no token":                   "x",
	} {
		s.Say(scriptedoidc.Script{Token: map[string]any{"id_token": token}})
		if id, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport); connectors.OutcomeOf(err) != connectors.OutcomeMisconfigured {
			t.Errorf("%s: %+v, %v", name, id, err)
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
	_, err := codeflow.Open(ctx, codeflow.Config{Issuer: silent.URL}, connectortest.Env(nil))
	if !errors.Is(err, context.DeadlineExceeded) || connectors.OutcomeOf(err) != connectors.OutcomeUnavailable {
		t.Errorf("Open = %v, want the deadline", err)
	}
}

func TestAuthURL(t *testing.T) {
	t.Parallel()
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane()})
	c := open(t, s, func(cfg *codeflow.Config) {
		cfg.AuthParams = map[string]string{"prompt": "", "acr_values": "gold silver"}
		cfg.Scopes = []string{"openid", "groups"}
	})
	seen := map[string]bool{}
	for range 2 {
		address, kept, err := c.AuthURL(t.Context(), connectortest.Callback, "state-1")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Has("prompt") || q.Get("acr_values") != "gold silver" || q.Get("scope") != "openid groups" || q.Get("state") != "state-1" || q.Get("redirect_uri") != connectortest.Callback {
			t.Errorf("request %v", q)
		}
		for _, fresh := range []string{q.Get("nonce"), q.Get("code_challenge"), string(kept)} {
			if fresh == "" || seen[fresh] {
				t.Errorf("%q is empty or was used before", fresh)
			}
			seen[fresh] = true
		}
	}
}

// TestAllowedGroups: a user in none of them is denied, at the sign-in and later.
func TestAllowedGroups(t *testing.T) {
	t.Parallel()
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane()})
	c := open(t, s, func(cfg *codeflow.Config) { cfg.AllowedGroups = []string{"dev"} })
	id, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	gone := jane()
	gone["groups"] = []string{"sales"}
	s.Say(scriptedoidc.Script{Claims: gone})
	if _, err := c.Refresh(t.Context(), id); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("renewal: %v, want ErrDenied", err)
	}
	if _, err := connectortest.Redirect(t.Context(), c, http.DefaultTransport); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("sign-in: %v, want ErrDenied", err)
	}
}

// TestUnreadableKeptToken is no refusal: there is nothing to ask with.
func TestUnreadableKeptToken(t *testing.T) {
	t.Parallel()
	c := open(t, scriptedoidc.Start(t, scriptedoidc.Script{}), nil)
	for _, data := range []string{"", "x", "{}", "null"} {
		if _, err := c.Refresh(t.Context(), connectors.Identity{Subject: "u-1", Data: []byte(data)}); connectors.OutcomeOf(err) != connectors.OutcomeUnconfirmed {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// TestAHangingKeySetHoldsUpNoOtherCaller: each waits only as long as its own context
// allows.
func TestAHangingKeySetHoldsUpNoOtherCaller(t *testing.T) {
	t.Parallel()
	hang, asked := make(chan struct{}), make(chan struct{}, 1)
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-hang }))
	t.Cleanup(func() { close(hang); silent.Close() })
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: jane(), Discovery: map[string]any{"jwks_uri": silent.URL}})
	c := open(t, s, nil)
	go func() { _, _ = connectortest.Redirect(t.Context(), c, http.DefaultTransport) }()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := connectortest.Redirect(ctx, c, http.DefaultTransport)
	if !errors.Is(err, context.DeadlineExceeded) || connectors.OutcomeOf(err) != connectors.OutcomeUnavailable {
		t.Errorf("the second caller: %v, want its deadline", err)
	}
}
