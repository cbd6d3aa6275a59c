package server_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestTokenEndpointRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verifier, challenge := relyingparty.PKCE()
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	code := func() string { return b.SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t) }
	base := func() url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "client_id": {"kubectl-fairlead"}, "code": {code()},
			"redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		}
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"no grant":              {func(v url.Values) { v.Del("grant_type") }, "unsupported_grant_type"},
		"password grant":        {func(v url.Values) { v.Set("grant_type", "password") }, "unsupported_grant_type"},
		"no client":             {func(v url.Values) { v.Set("client_id", " ") }, "invalid_client"},
		"unknown client":        {func(v url.Values) { v.Set("client_id", "nobody") }, "invalid_client"},
		"secret of a public":    {func(v url.Values) { v.Set("client_secret", "x") }, "invalid_client"},
		"wrong secret":          {func(v url.Values) { v.Set("client_id", "grafana"); v.Set("client_secret", "x") }, "invalid_client"},
		"missing secret":        {func(v url.Values) { v.Set("client_id", "grafana") }, "invalid_client"},
		"other client's code":   {func(v url.Values) { v.Set("client_id", "k8s-a") }, "invalid_grant"},
		"other redirect":        {func(v url.Values) { v.Set("redirect_uri", "http://127.0.0.1:4712/callback") }, "invalid_grant"},
		"no verifier":           {func(v url.Values) { v.Del("code_verifier") }, "invalid_grant"},
		"short verifier":        {func(v url.Values) { v.Set("code_verifier", "short") }, "invalid_grant"},
		"challenge as verifier": {func(v url.Values) { v.Set("code_verifier", challenge) }, "invalid_grant"},
		"no code":               {func(v url.Values) { v.Del("code") }, "invalid_grant"},
		"twice":                 {func(v url.Values) { v.Add("code", "x") }, "invalid_request"},
	} {
		v := base()
		c.change(v)
		got := w.plugin.Token(t, v)
		if got.Error != c.want || got.AccessToken != "" || got.ErrorDescription == "" {
			t.Errorf("%s: %s, want %s", name, got.Raw, c.want)
		}
	}
	w.clock.add(0)
	late := base()
	w.clock.add(2 * time.Minute)
	if got := w.plugin.Token(t, late); got.Error != "invalid_grant" {
		t.Errorf("expired code: %s", got.Raw)
	}
	if got := w.plugin.Post(t, "/token?grant_type=authorization_code", url.Values{"client_id": {"kubectl-fairlead"}}); got.Error != "unsupported_grant_type" {
		t.Errorf("parameters in the query: %s", got.Raw)
	}
}

func TestCodeReplayEndsWhatItGave(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verifier, challenge := relyingparty.PKCE()
	code := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t)
	redeem := func(verifier string) relyingparty.Tokens {
		t.Helper()
		return w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		})
	}
	tokens := redeem(verifier)
	if tokens.Error != "" {
		t.Fatal(tokens.Raw)
	}
	// A second use with a wrong verifier must not revoke anything.
	wrong, _ := relyingparty.PKCE()
	if got := redeem(wrong); got.Error != "invalid_grant" {
		t.Errorf("wrong verifier: %s", got.Raw)
	}
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	if refreshed.Error != "" {
		t.Fatalf("a guess ended the session: %s", refreshed.Raw)
	}
	if got := redeem(verifier); got.Error != "invalid_grant" {
		t.Errorf("second use: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("after the second use: %s", got.Raw)
	}
}
