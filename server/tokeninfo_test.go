package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	laptop, desktop := w.signIn(t), w.signIn(t)
	stranger := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	if got := stranger.Post(t, "/revoke", url.Values{"client_id": {"k8s-a"}, "token": {laptop.RefreshToken}}); got.Status != 200 {
		t.Errorf("stranger: %d", got.Status)
	}
	rotated := w.plugin.Refresh(t, laptop.RefreshToken)
	if rotated.Error != "" {
		t.Fatalf("a stranger revoked it: %s", rotated.Raw)
	}
	for range 2 { // twice is no error
		if got := w.plugin.Post(t, "/revoke", url.Values{"client_id": {"kubectl-fairlead"}, "token": {rotated.RefreshToken}}); got.Status != 200 {
			t.Errorf("revoke: %d %s", got.Status, got.Raw)
		}
	}
	if got := w.plugin.Refresh(t, rotated.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("revoked device: %s", got.Raw)
	}
	if got := w.plugin.Exchange(t, rotated.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
		t.Errorf("access token of a revoked device: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, desktop.RefreshToken); got.Error != "" {
		t.Errorf("the other device: %s", got.Raw)
	}
}

func TestUserInfoRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)
	get := func(authorization string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/userinfo?access_token="+tokens.AccessToken, nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	if resp, body := get("bearer " + tokens.AccessToken); resp.StatusCode != 200 || !strings.Contains(body, `"sub":"usr_`) {
		t.Errorf("good token: %d %s", resp.StatusCode, body)
	}
	for _, bad := range []string{"", "Basic " + tokens.AccessToken, "Bearer", "Bearer x", "Bearer " + tokens.IDToken, "Bearer " + tokens.RefreshToken} {
		if resp, body := get(bad); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %s", bad, resp.StatusCode, body)
		}
	}
}

func userInfo(t *testing.T, issuer, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/userinfo", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	page := b.SignIn(w.issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid email offline_access"},
	}.Encode(), asJane())
	tokens := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	ask := func(client, secret, token string) map[string]any {
		t.Helper()
		got := w.plugin.Post(t, "/introspect", url.Values{"client_id": {client}, "client_secret": {secret}, "token": {token}})
		var answer map[string]any
		if err := json.Unmarshal([]byte(got.Raw), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	for name, token := range map[string]string{"access": tokens.AccessToken, "refresh": tokens.RefreshToken} {
		got := ask("grafana", "s3cret", token)
		if got["active"] != true || got["client_id"] != "grafana" || got["sub"] != relyingparty.Claims(t, tokens.IDToken)["sub"] || got["iss"] != w.issuer {
			t.Errorf("%s: %v", name, got)
		}
		// A client learns nothing about a token of another client.
		if got := ask("wiki", "wiki-secret", token); !cmp.Equal(got, map[string]any{"active": false}) {
			t.Errorf("%s, another client: %v", name, got)
		}
	}
	if got := ask("grafana", "s3cret", "made-up"); !cmp.Equal(got, map[string]any{"active": false}) {
		t.Errorf("made up: %v", got)
	}
	for name, form := range map[string]url.Values{
		"nobody": {"token": {tokens.AccessToken}}, "a public client": {"token": {tokens.AccessToken}, "client_id": {"kubectl-fairlead"}},
		"a wrong secret": {"token": {tokens.AccessToken}, "client_id": {"grafana"}, "client_secret": {"x"}},
	} {
		if got := w.plugin.Post(t, "/introspect", form); got.Status != http.StatusUnauthorized || strings.Contains(got.Raw, "active") {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	// A token without a device is revoked alone, with an audit event.
	alone := b.Get(w.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"},
	}.Encode())
	short := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {alone.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	w.plugin.Post(t, "/revoke", url.Values{"client_id": {"grafana"}, "client_secret": {"s3cret"}, "token": {short.AccessToken}})
	if got := ask("grafana", "s3cret", short.AccessToken); got["active"] != false || len(w.events(t, audit.TokenRevoked)) != 1 {
		t.Errorf("revoked alone: %v, events %+v", got, w.events(t, audit.TokenRevoked))
	}
	// Revoking the access token ends the whole grant.
	w.plugin.Post(t, "/revoke", url.Values{"client_id": {"grafana"}, "client_secret": {"s3cret"}, "token": {tokens.AccessToken}})
	for _, token := range []string{tokens.AccessToken, tokens.RefreshToken} {
		if got := ask("grafana", "s3cret", token); got["active"] != false {
			t.Errorf("revoked: %v", got)
		}
	}
}
