package oauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/oauth"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: oauth.Type(),
		Config: func(s *fakeforge.Server, clientSecret string) connectors.Config {
			return &oauth.Config{
				AuthorizationURL: s.URL + "/authorize", TokenURL: s.URL + "/token", UserInfoURL: s.URL + "/userinfo", ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret),
			}
		},
		Want: connectors.Identity{Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "platform"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable,
			{Name: "refresh token revoked", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_grant","error_description":"Session not active"}`, Expired: true},
			{Name: "user is blocked (Auth0)", Want: connectors.OutcomeDenied, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"unauthorized","error_description":"user is blocked"}`, Expired: true},
			{Name: "multi-factor demanded", Want: connectors.OutcomeSignInAgain, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"interaction_required","error_description":"AADSTS50076"}`, Expired: true},
			{Name: "maintenance", Want: connectors.OutcomeUnavailable, Path: "/token", Status: http.StatusServiceUnavailable, Body: `<html>Back soon</html>`, Expired: true},
			{Name: "maintenance after a renewed token", Want: connectors.OutcomeUnavailable, Path: "/userinfo", Status: http.StatusServiceUnavailable, Body: `<html>Back soon</html>`, Expired: true},
			{Name: "client secret expired", Want: connectors.OutcomeMisconfigured, Path: "/token", Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"AADSTS7000222"}`, Expired: true},
			{Name: "scope removed", Want: connectors.OutcomeMisconfigured, Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_scope"}`, Expired: true},
			{Name: "groups of a kind that can't be read", Want: connectors.OutcomeUnusableIdentity, Path: "/userinfo", Status: http.StatusOK, Body: `{"id":"42","sub":"42","preferred_username":"jane","groups":true}`},
			connectortest.NothingToAskWith,
		},
	})
}

// provider answers about people as it is told to, and gives tokens that end at once.
type provider struct {
	answer  string
	refresh string
	asked   int
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		_, _ = io.WriteString(w, `{"access_token":"a","token_type":"Bearer","expires_in":1,"refresh_token":"`+p.refresh+`"}`)
		return
	}
	p.asked++
	_, _ = io.WriteString(w, p.answer)
}

func signIn(t *testing.T, p *provider, change func(c *oauth.Config)) (connectors.Refresher, connectors.Identity, error) {
	t.Helper()
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	cfg := &oauth.Config{AuthorizationURL: s.URL + "/authorize", TokenURL: s.URL + "/token", UserInfoURL: s.URL + "/userinfo", ClientID: "x", ClientSecret: secret.NewValue("y")}
	if change != nil {
		change(cfg)
	}
	opened, err := cfg.Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	id, err := opened.(connectors.Redirecter).Callback(t.Context(), connectortest.Callback, []byte(`{"verifier":"v"}`), httptest.NewRequest(http.MethodGet, "/?code=c", http.NoBody))
	return opened.(connectors.Refresher), id, err
}

// TestRenewal: with a refresh token the provider is asked again; without one, and
// with an access token that has ended, the account can't be confirmed.
func TestRenewal(t *testing.T) {
	t.Parallel()
	for refresh, want := range map[string]connectors.Outcome{"": connectors.OutcomeUnconfirmed, "r": ""} {
		p := &provider{answer: `{"id":"42","preferred_username":"jane"}`, refresh: refresh}
		c, jane, err := signIn(t, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Refresh(t.Context(), jane)
		if want == "" && (err != nil || again.Subject != "42" || p.asked != 2) || want != "" && connectors.OutcomeOf(err) != want {
			t.Errorf("refresh token %q: %+v, %v, asked %d times", refresh, again, err, p.asked)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	nested := func(c *oauth.Config) { c.IDKey, c.UsernameKey, c.GroupsKey = "user.id", "user.login", "user.teams" }
	for answer, want := range map[string]connectors.Identity{
		`{"user":{"id":12345678901234567890,"login":"jane","teams":[{"name":"b"},"a","b",7]}}`: {Subject: "12345678901234567890", Username: "jane", Name: "jane", Groups: []string{"7", "a", "b"}},
		`{"user.id":"flat","user":{"login":"jane"}}`:                                           {Subject: "flat", Username: "jane", Name: "jane"},
		`{"user":{"id":"1"},"email":"jane@example.test","email_verified":true}`:                {Subject: "1", Username: "jane@example.test", Name: "jane@example.test", Email: "jane@example.test", EmailVerified: true},
	} {
		_, got, err := signIn(t, &provider{answer: answer}, nested)
		got.Data = nil
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", answer, err, diff)
		}
	}
	for _, answer := range []string{"", "[]", "<html>", `{"user":{"login":"jane"}}`, `{"user":{"id":{"x":1},"login":"jane"}}`, `{"user":{"id":"1"},"email":"root@example.test"}`, `{"user":{"id":"1"},"email":"root@example.test","email_verified":"no"}`} {
		if _, id, err := signIn(t, &provider{answer: answer}, nested); err == nil {
			t.Errorf("%s signs %+v in", answer, id)
		}
	}
}
