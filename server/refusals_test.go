package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/fakes/scriptedoidc"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// leaving is one way in which a provider says that a user has left.
type leaving struct {
	name   string
	script scriptedoidc.Script
}

// leavings are refusals as real products write them.
func leavings(present map[string]any) []leaving {
	with := func(more map[string]any) map[string]any {
		claims := maps.Clone(present)
		maps.Copy(claims, more)
		return claims
	}
	token := func(status int, body string) scriptedoidc.Script {
		return scriptedoidc.Script{TokenAnswer: &scriptedoidc.Answer{Status: status, Body: json.RawMessage(body)}}
	}
	info := func(a scriptedoidc.Answer) scriptedoidc.Script {
		return scriptedoidc.Script{Claims: present, UserInfo: &a}
	}
	here := scriptedoidc.Answer{Body: json.RawMessage(`{"sub":"u-1"}`)}
	return []leaving{
		{"session ended (Keycloak)", token(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Session not active"}`)},
		{"account disabled (Entra)", token(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"AADSTS50057: The user account is disabled.","error_codes":[50057]}`)},
		{"account deleted (Google)", token(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Account has been deleted"}`)},
		{"not assigned to the application (Okta)", token(http.StatusForbidden, `{"error":"access_denied","error_description":"User is not assigned to the client application."}`)},
		{"user is blocked (Auth0)", token(http.StatusUnauthorized, `{"error":"unauthorized","error_description":"user is blocked"}`)},
		{"app restricted by an admin (Google Workspace)", token(http.StatusUnauthorized, `{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens"}`)},
		{"account expired, with a code of the provider's own", token(http.StatusForbidden, `{"error":"account_expired"}`)},
		{"token revoked, by a challenge (RFC 6750)", info(scriptedoidc.Answer{Status: http.StatusUnauthorized, Challenge: `Bearer error="invalid_token", error_description="The token was revoked"`})},
		{"token revoked, without a word", info(scriptedoidc.Answer{Status: http.StatusUnauthorized})},
		{"access denied at userinfo, in the body", info(scriptedoidc.Answer{Status: http.StatusForbidden, Body: json.RawMessage(`{"error":"access_denied","error_description":"The user is suspended."}`)})},
		{"another account in the ID token", scriptedoidc.Script{Claims: with(map[string]any{"sub": "u-2"}), UserInfo: &scriptedoidc.Answer{Body: json.RawMessage(`{"sub":"u-2"}`)}}},
		{"another account at userinfo", info(scriptedoidc.Answer{Body: json.RawMessage(`{"sub":"u-2"}`)})},
		{"out of the allowed groups", scriptedoidc.Script{Claims: with(map[string]any{"groups": []string{"guests"}}), UserInfo: &here}},
	}
}

// TestEveryRefusalEndsAccess: whatever words a provider has for a leaver, the user is out at the first renewal after the
// maximum age of its answers, long before the outage budget ends. Their last cluster token ends by itself.
func TestEveryRefusalEndsAccess(t *testing.T) {
	t.Parallel()
	const maxAge, tokenLife = 5 * time.Minute, 10 * time.Minute
	present := map[string]any{"sub": "u-1", "preferred_username": "jane", "groups": []string{"platform"}}
	for _, l := range leavings(present) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			provider := scriptedoidc.Start(t, scriptedoidc.Script{Claims: present, UserInfo: &scriptedoidc.Answer{Body: json.RawMessage(`{"sub":"u-1"}`)}})
			w := &testServer{clock: &clock{at: time.Now()}, maxAge: maxAge}
			provider.Now = w.clock.now
			serveConnector(t, w, "oidc", map[string]any{"issuer": provider.URL, "clientID": "client", "clientSecret": "secret", "userInfo": true, "allowedGroups": []string{"platform"}})
			browser := relyingparty.NewBrowser(t, w.issuer, nil)
			u, err := url.Parse(provider.URL)
			if err != nil {
				t.Fatal(err)
			}
			browser.AlsoFollow = u.Host
			tokens := w.plugin.SignIn(t, browser, relyingparty.Credentials{})
			provider.Say(l.script)
			w.clock.add(maxAge - time.Second)
			last := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a")
			if last.Error != "" || time.Duration(last.ExpiresIn)*time.Second > tokenLife {
				t.Fatalf("within the maximum age: %s", last.Raw)
			}
			w.clock.add(2 * time.Second)
			if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Status == http.StatusOK || got.Status >= http.StatusInternalServerError {
				t.Errorf("a cluster token after the maximum age: %s", got.Raw)
			}
			if got := w.plugin.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
				t.Errorf("a renewal after the maximum age: %s", got.Raw)
			}
			user, err := w.store.UserByName(t.Context(), "up:jane")
			if err != nil || !user.Blocked() {
				t.Errorf("the refusal is not stored: %+v %v", user, err)
			}
		})
	}
}
