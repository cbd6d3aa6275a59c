package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/rp"
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
	me.env = append(me.env, "CI=true") // from now on nobody signs in again

	// 1. Signing out of the browser.
	b := rp.NewBrowser(t, s.issuer, s.client.Transport)
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
	stranger := rp.NewBrowser(t, s.issuer, s.client.Transport)
	stranger.SignIn(s.issuer+"/account", bob)
	stranger.Post(s.issuer+device, nil)
	me.expireTokens()
	me.token("a")

	// 3. Jane can.
	page = b.SignIn(s.issuer+"/account", jane().Credentials)
	if page = b.Submit(page, nil); !strings.Contains(page.Text, "No computer uses kubectl as you") {
		t.Errorf("%v\n%s", page, page.Text)
	}
	me.expireTokens()
	r := me.run("", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a")
	if r.code != 3 || !strings.Contains(r.err, "signed out on the account page") || !strings.HasSuffix(strings.TrimSpace(r.err), "Run: kubectl fairlead login "+s.issuer) {
		t.Errorf("%+v", r)
	}
}
