package issuer_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

func setup(t *testing.T) (*issuer.Issuer, issuer.Subject) {
	t.Helper()
	s := storetest.SQLite(t)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	logger := slog.New(slog.DiscardHandler)
	m, err := keys.New(t.Context(), keys.Config{Store: s, Now: now, Logger: logger, Audit: audit.NewLog(now, logger, s)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: "corp", KubeName: "corp:jane", Identity: connectors.Identity{
		Subject: "1", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"corp:dev"},
	}}, at)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer.Issuer{URL: "https://login.test", Keys: m, Store: s, Now: now},
		issuer.Subject{User: user, SignInID: "sid_1", DeviceID: "dev_1", AMR: []string{"pwd"}, Authenticated: store.At(at.Add(-time.Hour))}
}

func decode(t *testing.T, i *issuer.Issuer, token string) (map[string]any, jose.Header) {
	t.Helper()
	payload, err := i.Keys.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(token, keys.Algorithms())
	if err != nil {
		t.Fatal(err)
	}
	return claims, parsed.Signatures[0].Header
}

func TestTokenForACluster(t *testing.T) {
	t.Parallel()
	i, subject := setup(t)
	minted, err := i.SignIDToken(issuer.IDTokenParams{
		Subject: subject, Audience: "k8s-prod", Requester: "kubectl-fairlead", Scopes: []string{"openid"},
		Cluster: &store.Cluster{ID: "prod", Audience: "k8s-prod", TokenSeconds: 600, Algorithm: "ES256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, header := decode(t, i, minted.Token)
	if header.Algorithm != "ES256" || header.KeyID == "" {
		t.Errorf("header %+v", header)
	}
	now := float64(i.Now().Unix())
	want := map[string]any{
		"iss": "https://login.test", "sub": subject.User.ID, "aud": "k8s-prod", "azp": "kubectl-fairlead",
		"iat": now, "exp": now + 600, "auth_time": now - 3600, "jti": minted.ID,
		"sid": "sid_1", "device_id": "dev_1", "amr": []any{"pwd"},
		"name": "Jane Doe", "preferred_username": "corp:jane", "email": "jane@example.test", "email_verified": true,
		"groups": []any{"corp:dev"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestTokenForAClientHasWhatItAskedFor(t *testing.T) {
	t.Parallel()
	i, subject := setup(t)
	minted, err := i.SignIDToken(issuer.IDTokenParams{Subject: subject, Audience: "grafana", Requester: "grafana", Scopes: []string{"openid", "profile"}, Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	got, header := decode(t, i, minted.Token)
	if header.Algorithm != "RS256" {
		t.Errorf("algorithm %s, want the default RS256", header.Algorithm)
	}
	for _, absent := range []string{"email", "email_verified", "groups", "azp"} {
		if _, has := got[absent]; has {
			t.Errorf("claim %s was not asked for", absent)
		}
	}
	if got["preferred_username"] != "jane" || got["nonce"] != "n" {
		t.Errorf("claims %v", got)
	}
}

func TestIssueCode(t *testing.T) {
	t.Parallel()
	i, subject := setup(t)
	code, err := i.IssueCode(t.Context(), &flow.Request{ClientID: "c", RedirectURI: "https://app.test/cb?keep=1", Challenge: "ch"}, subject)
	if err != nil {
		t.Fatal(err)
	}
	row, err := i.Store.Code(t.Context(), code)
	if err != nil || row.Challenge != "ch" || row.Hash == code {
		t.Errorf("row %+v, error %v", row, err)
	}
}

func TestReadHint(t *testing.T) {
	t.Parallel()
	i, subject := setup(t)
	minted, err := i.SignIDToken(issuer.IDTokenParams{Subject: subject, Audience: "app", Requester: "app", Scopes: []string{"openid"}})
	if err != nil {
		t.Fatal(err)
	}
	hint, err := i.ReadIDTokenHint(minted.Token)
	if err != nil || hint.Subject != subject.User.ID || hint.Audience != "app" {
		t.Errorf("hint %+v, error %v", hint, err)
	}
	logout, err := i.SignLogoutToken("", []byte(`{"iss":"https://login.test"}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(minted.Token, ".")
	for name, bad := range map[string]string{
		"empty": "", "unsigned": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "changed": parts[0] + ".e30." + parts[2], "not about a person": logout,
	} {
		if _, err := i.ReadIDTokenHint(bad); !errors.Is(err, issuer.ErrIDTokenHint) {
			t.Errorf("%s: error %v, want ErrHint", name, err)
		}
	}
}
