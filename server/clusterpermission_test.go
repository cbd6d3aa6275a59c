package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestAnApplicationUsesClustersOnlyWithConsent gives an application the grant after a user has consented to less.
func TestAnApplicationUsesClustersOnlyWithConsent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	wiki := &relyingparty.Client{Issuer: w.issuer, ID: "wiki", RedirectURI: "https://wiki.test/cb", Scope: "openid"}
	verifier, challenge := relyingparty.PKCE()
	redeem := func(code string) relyingparty.Tokens {
		return wiki.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {wiki.RedirectURI}, "code_verifier": {verifier}, "client_secret": {"wiki-secret"},
		})
	}
	exchange := func(tokens relyingparty.Tokens) relyingparty.Tokens {
		return wiki.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {tokens.AccessToken}, "audience": {"k8s-a"},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "client_secret": {"wiki-secret"},
		})
	}
	asking := func() *relyingparty.Page {
		as := asJane()
		as.StopAtConfirmation = true
		return b.SignIn(wiki.AuthURL(challenge, nil), as)
	}
	page := asking()
	if strings.Contains(page.Text, "clusters") {
		t.Errorf("the page offers clusters to an application without the grant:\n%s", page.Text)
	}
	tokens := redeem(b.Submit(page, map[string]string{"answer": "yes"}).Code(t))

	at := slices.IndexFunc(w.settings.Clients, func(c store.Client) bool { return c.ID == "wiki" })
	w.settings.Clients[at].Grants = append(w.settings.Clients[at].Grants, "urn:ietf:params:oauth:grant-type:token-exchange")
	apply(t, w.store, w.settings, w.clock.now())
	if got := exchange(tokens); got.Error != "invalid_grant" {
		t.Errorf("with the consent to nothing else: %s", got.Raw)
	}
	if page = asking(); !strings.Contains(page.Text, "use all of your clusters") {
		t.Fatalf("the page does not ask about clusters:\n%s", page.Text)
	}
	tokens = redeem(b.Submit(page, map[string]string{"answer": "yes"}).Code(t))
	if got := exchange(tokens); got.Error != "" {
		t.Errorf("with the consent: %s", got.Raw)
	}
	b.Get(wiki.AuthURL(challenge, nil)).Code(t) // the consent is remembered
}
