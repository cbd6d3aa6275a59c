package fakegithub_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
)

const callback = "http://127.0.0.1:1/callback"

// code walks through the authorization page and returns the code.
func code(t *testing.T, s *fakegithub.Server) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(s.URL + "/login/oauth/authorize?" + url.Values{
		"client_id": {fakegithub.ClientID}, "redirect_uri": {callback}, "state": {"s"},
		"code_challenge_method": {"S256"}, "code_challenge": {"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}, // of the empty string
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	return location.Query().Get("code")
}

func redeem(t *testing.T, s *fakegithub.Server, change func(url.Values)) string {
	t.Helper()
	form := url.Values{
		"client_id": {fakegithub.ClientID}, "client_secret": {fakegithub.ClientSecret}, "code": {code(t, s)}, "redirect_uri": {callback},
	}
	change(form)
	resp, err := http.PostForm(s.URL+"/login/oauth/access_token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: GitHub answers 200 also for errors", resp.StatusCode, err)
	}
	return string(body)
}

func TestItIsAsStrictAsGitHub(t *testing.T) {
	t.Parallel()
	s := fakegithub.Start(t, callback)
	s.Set(fakegithub.Account{ID: 1, Login: "jane", Orgs: []string{"a", "b", "c"}})
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"secret":   {func(v url.Values) { v.Set("client_secret", "x") }, "incorrect_client_credentials"},
		"code":     {func(v url.Values) { v.Set("code", "x") }, "bad_verification_code"},
		"redirect": {func(v url.Values) { v.Set("redirect_uri", "x") }, "redirect_uri_mismatch"},
		"verifier": {func(v url.Values) { v.Set("code_verifier", "x") }, "bad_verification_code"},
	} {
		if got := redeem(t, s, c.change); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	answer, err := url.ParseQuery(redeem(t, s, func(url.Values) {}))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, token string) (*http.Response, []map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var list []map[string]any
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
				t.Fatal(err)
			}
		}
		return resp, list
	}
	token := answer.Get("access_token")
	if resp, list := get("/api/v3/user/orgs", token); len(list) != 2 || !strings.Contains(resp.Header.Get("Link"), "page=2") {
		t.Errorf("first page %v, %v", list, resp.Header)
	}
	if _, list := get("/api/v3/user/orgs?page=2", token); len(list) != 1 {
		t.Errorf("second page %v", list)
	}
	if resp, _ := get("/api/v3/user/orgs", "made-up"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("made-up token: %d", resp.StatusCode)
	}
	s.RevokeTokens()
	if resp, _ := get("/api/v3/user/orgs", token); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("revoked token: %d", resp.StatusCode)
	}
}
