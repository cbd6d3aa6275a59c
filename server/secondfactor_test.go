package server_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// browserUser is a browser with a cookie jar.
type browserUser struct {
	t *testing.T
	w *testServer
	c *http.Client
}

func (w *testServer) newBrowserUser(t *testing.T) *browserUser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browserUser{t, w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// submitPassword submits user name and password and returns the redirect.
func (p *browserUser) submitPassword() string {
	p.t.Helper()
	page := document(p.t, p.c, "GET", p.w.issuer+"/login/corp", nil)
	return p.post("/login/corp", url.Values{"flow": {field(page, "flow")}, "username": {"jane"}, "password": {"right"}})
}

func (p *browserUser) post(path string, form url.Values) string {
	p.t.Helper()
	res := post(p.t, p.c, p.w.issuer+path, form)
	if res.StatusCode != http.StatusSeeOther {
		return res.Status
	}
	return res.Header.Get("Location")
}

// signedIn reports whether the browser has a session.
func (p *browserUser) signedIn() bool {
	p.t.Helper()
	u, err := url.Parse(p.w.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, cookie := range p.c.Jar.Cookies(u) {
		if cookie.Name == "fairlead" {
			return true
		}
	}
	return false
}

// TestASecondFactor sets a factor up at the first sign-in through a connector that requires one. The next sign-in
// asks for it, and each code works once.
func TestASecondFactor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.settings.Connectors[0].SecondFactor = true
	apply(t, w.store, w.settings, w.clock.now())
	first := w.newBrowserUser(t)
	second := first.submitPassword()
	if !strings.HasPrefix(second, "/login/second?flow=") || first.signedIn() {
		t.Fatalf("after the password: %s, signed in %v", second, first.signedIn())
	}
	page := document(t, first.c, "GET", w.issuer+second, nil)
	totp, flow := page.Find("#totp").Text(), field(page, "flow")
	code := func(later time.Duration) string {
		text, err := mfa.GenerateCode(totp, w.clock.now().Add(later))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := first.post("/login/second", url.Values{"flow": {flow}, "code": {"000000"}}); got != "401 Unauthorized" || first.signedIn() {
		t.Errorf("a wrong code: %s", got)
	}
	if got := w.newBrowserUser(t).post("/login/second", url.Values{"flow": {flow}, "code": {code(0)}}); got != "400 Bad Request" {
		t.Errorf("in another browser: %s", got)
	}
	if got := first.post("/login/second", url.Values{"flow": {flow}, "code": {code(0)}}); got != "/" || !first.signedIn() {
		t.Fatalf("the right code: %s", got)
	}
	again := w.newBrowserUser(t)
	page = document(t, again.c, "GET", w.issuer+again.submitPassword(), nil)
	if page.Find("#totp").Length() > 0 {
		t.Fatal("the second sign-in shows a key")
	}
	flow = field(page, "flow")
	if got := again.post("/login/second", url.Values{"flow": {flow}, "code": {code(0)}}); got != "401 Unauthorized" {
		t.Errorf("the same code again: %s", got)
	}
	if got := again.post("/login/second", url.Values{"flow": {flow}, "code": {code(30 * time.Second)}}); got != "/" {
		t.Errorf("the next code: %s", got)
	}
	events := w.events(t, audit.SignInFailed)
	if len(events) != 2 || events[0].Reason != "second_factor" {
		t.Errorf("%d failures recorded: %+v", len(events), events)
	}
	for range 12 {
		again.post("/login/second", url.Values{"flow": {flow}, "code": {"000000"}})
	}
	if got := again.post("/login/second", url.Values{"flow": {flow}, "code": {code(60 * time.Second)}}); got != "401 Unauthorized" {
		t.Errorf("after a dozen guesses: %s", got)
	}
	limited := 0
	for _, e := range w.events(t, audit.SignInFailed) {
		if e.Reason == "too_many_failures" {
			limited++
		}
	}
	if limited != 1 {
		t.Errorf("that there were too many is recorded %d times, want once", limited)
	}
}
