package server_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestSigningInAgainKeepsOtherApplications signs in for one application, and then again for another, as prompt=login
// demands. The first application keeps its access token, the code that it has not redeemed yet, and its sign-out.
func TestSigningInAgainKeepsOtherApplications(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, w *testServer) {
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		grafana := &relyingparty.Client{Issuer: w.issuer, ID: "grafana", RedirectURI: "https://grafana.test/cb?x=1", Scope: "openid"}
		verifier, challenge := relyingparty.PKCE()
		redeem := func(code string) relyingparty.Tokens {
			return grafana.Token(t, url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {grafana.RedirectURI}, "code_verifier": {verifier}, "client_secret": {"s3cret"},
			})
		}
		first := redeem(b.SignIn(grafana.AuthURL(challenge, nil), asJane()).Code(t))
		open := b.Get(grafana.AuthURL(challenge, nil)).Code(t)
		before := b.Clone()
		w.clock.add(time.Second)

		b.SignIn(w.plugin.AuthURL(challenge, url.Values{"prompt": {"login"}}), asJane()).Code(t)
		if p := before.Get(grafana.AuthURL(challenge, url.Values{"prompt": {"none"}})); p.RedirectedTo.Query().Get("error") != "login_required" {
			t.Errorf("the old cookie is still good: %s", p)
		}
		if got := userInfo(t, w.issuer, first.AccessToken); got != 200 {
			t.Errorf("userinfo of the other application: %d", got)
		}
		if got := redeem(open); got.Error != "" {
			t.Errorf("code of the other application: %s", got.Raw)
		}
		p := b.Get(w.issuer + "/end-session?" + url.Values{
			"id_token_hint": {first.IDToken}, "post_logout_redirect_uri": {"https://grafana.test/bye"}, "state": {"s"},
		}.Encode())
		if p.RedirectedTo == nil || p.RedirectedTo.String() != "https://grafana.test/bye?state=s" {
			t.Errorf("sign-out of the other application: %s", p)
		}
	})
}
