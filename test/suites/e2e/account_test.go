package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestAccountPage ends things: signing out of the browser leaves kubectl alone,
// ending the device does not, and the plugin says why.
func TestAccountPage(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("a", "127.0.0.1:1", s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	me.env = append(me.env, "CI=true") // from now on no user signs in again

	// 1. Signing out of the browser.
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	page := b.SignIn(s.issuer+"/account", jane().Credentials)
	if got := page.Doc.Find("section[aria-labelledby=devices] strong").Text(); !strings.HasPrefix(got, "kubectl-fairlead on ") {
		t.Errorf("device %q", got)
	}
	if page := b.Post(s.issuer+"/sign-out", nil); page.Status != http.StatusOK || !strings.Contains(page.Text, "You are signed out") {
		t.Errorf("%v", page)
	}
	me.expireTokens()
	me.token("a")

	// 2. Another person can't end jane's device.
	bob := jane().Credentials
	bob.Username = "bob@example.test"
	device := page.Doc.Find("section[aria-labelledby=devices] form").AttrOr("action", "")
	stranger := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	stranger.SignIn(s.issuer+"/account", bob)
	stranger.Post(s.issuer+device, nil)
	me.expireTokens()
	me.token("a")

	// 3. Jane can.
	page = b.SignIn(s.issuer+"/account", jane().Credentials)
	if page = b.Submit(page, nil); !strings.Contains(page.Text, "No computer is signed in") {
		t.Errorf("%v\n%s", page, page.Text)
	}
	me.expireTokens()
	r := me.run("", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a")
	if r.code != 3 || !strings.Contains(r.err, "signed out on the account page") || !strings.HasSuffix(strings.TrimSpace(r.err), "Run: kubectl fairlead login "+s.issuer) {
		t.Errorf("%+v", r)
	}
}

// TestTakingBack ends what an application may, and every device at once.
func TestTakingBack(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	verifier, challenge := relyingparty.PKCE()
	app := &relyingparty.Client{Issuer: s.issuer, ID: "app", RedirectURI: "https://app.example.test/cb", Scope: "openid email offline_access", Transport: s.client.Transport}
	page := b.SignIn(app.AuthURL(challenge, nil), jane().Credentials)
	tokens := app.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {app.RedirectURI}, "code_verifier": {verifier}, "client_secret": {"s3cret"},
	})
	refresh := func() relyingparty.Tokens {
		t.Helper()
		return app.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}, "client_secret": {"s3cret"}})
	}

	// 1. The page says what the application may, and takes it back.
	account := b.Get(s.issuer + "/account")
	section := account.Doc.Find("section[aria-labelledby=applications]")
	if !strings.Contains(section.Text(), "App") || !strings.Contains(section.Text(), "see your e-mail address") {
		t.Fatalf("applications: %s", section.Text())
	}
	account = b.Post(s.issuer+section.Find("form").AttrOr("action", ""), nil)
	if account.Doc.Find("section[aria-labelledby=applications]").Length() != 0 {
		t.Error("the application is still there")
	}
	if got := refresh(); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "revoked the consent") {
		t.Errorf("after taking back: %s", got.Raw)
	}
	silent := b.Get(app.AuthURL(challenge, url.Values{"prompt": {"none"}}))
	if silent.RedirectedTo == nil || silent.RedirectedTo.Query().Get("error") != "consent_required" {
		t.Errorf("asked silently: %v", silent)
	}

	// 2. Two devices go with one button.
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access", Transport: s.client.Transport}
	first, second := plugin.SignIn(t, b, relyingparty.Credentials{}), plugin.SignIn(t, b, relyingparty.Credentials{})
	if page := b.Get(s.issuer + "/account"); !strings.Contains(page.Text, "Sign out all 2 devices") {
		t.Errorf("no button for all:\n%s", page.Text)
	}
	if page := b.Post(s.issuer+"/account/devices/end", nil); !strings.Contains(page.Text, "No computer is signed in") {
		t.Errorf("devices are left:\n%s", page.Text)
	}
	for _, tokens := range []relyingparty.Tokens{first, second} {
		if got := plugin.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("refresh: %s", got.Raw)
		}
		if got := plugin.Exchange(t, tokens.AccessToken, "k8s-rsa"); got.Error != "invalid_grant" {
			t.Errorf("exchange: %s", got.Raw)
		}
	}
}
