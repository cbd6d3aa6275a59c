package conformance_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestNoSecretTravelsOn posts a password and looks at the very redirect.
func TestNoSecretTravelsOn(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.12: 303 and never 307 after credentials", "OAuth 2.1 section 7.5.2")
	b := o.browser(t)
	page := b.Get(o.request(t, o.First, nil))
	if page.Doc.Find("input[type=password]").Length() == 0 {
		t.Fatalf("no password form: %s", page)
	}
	form := page.Doc.Find("main form")
	action, err := page.URL.Parse(form.AttrOr("action", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := b.SendOnce(http.MethodPost, action.String(), url.Values{
		"flow": {form.Find("input[name=flow]").AttrOr("value", "")}, "username": {o.Person.Username}, "password": {o.Person.Password},
	})
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("status %d, want 303", resp.StatusCode)
	}
}

func TestPagesCanNotBeFramed(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.16: clickjacking", "OAuth 2.1 section 7.8", "RFC 9700 section 4.2.4: referrer, third parties")
	page := o.browser(t).Get(o.request(t, o.First, nil))
	csp := page.Header.Get("Content-Security-Policy")
	for _, must := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, must) {
			t.Errorf("policy %q lacks %s", csp, must)
		}
	}
	if strings.Contains(csp, "unsafe-") || strings.Contains(csp, "*") {
		t.Errorf("policy %q is loose", csp)
	}
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	for _, tag := range page.Doc.Find("[src], link[href]").EachIter() {
		u, err := url.Parse(tag.AttrOr("src", tag.AttrOr("href", "")))
		if err != nil || u.Host != "" {
			t.Errorf("something of a third party: %v", u)
		}
	}
}

func TestNoCORSAtAuthorization(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 2.6: no CORS at the authorization endpoint")
	got := o.get(t, o.request(t, o.First, nil), http.Header{"Origin": {"https://evil.test"}})
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", got.header)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 6265bis: __Host-, Secure, HttpOnly, SameSite", "a new session id at every sign-in")
	b := o.browser(t)
	o.callback(t, b, o.First, nil)
	before := b.Cookies()
	o.callback(t, b, o.First, url.Values{"prompt": {"login"}})
	changed := false
	for name, value := range b.Cookies() {
		if !strings.HasPrefix(name, "__Host-") {
			t.Errorf("cookie %s", name)
		}
		changed = changed || before[name] != value
	}
	if !changed {
		t.Error("the session kept its id")
	}
}

// TestLoginCSRF takes a flow to another browser, as an attacker does to sign the victim in as the attacker.
func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.7: CSRF", "each flow is bound to its browser")
	attacker := o.browser(t)
	page := attacker.Get(o.request(t, o.First, nil))
	flow := page.Doc.Find("main form input[name=flow]").AttrOr("value", "")
	if flow == "" {
		t.Fatalf("no flow: %s", page)
	}
	action, err := page.URL.Parse(page.Doc.Find("main form").AttrOr("action", ""))
	if err != nil {
		t.Fatal(err)
	}
	victim := o.browser(t)
	victim.Get(o.Issuer + "/login")
	got := victim.Post(action.String(), url.Values{"flow": {flow}, "username": {o.Person.Username}, "password": {o.Person.Password}})
	if got.RedirectedTo != nil || got.Status < 400 {
		t.Errorf("another browser's flow went on: %s", got)
	}
	// The same form, sent by another site.
	cross, _ := attacker.WithFetchSite("cross-site").SendOnce(http.MethodPost, action.String(), url.Values{"flow": {flow}, "username": {o.Person.Username}, "password": {o.Person.Password}})
	if cross.StatusCode < 400 {
		t.Errorf("a form of another site: %d", cross.StatusCode)
	}
}

func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.11: no open redirector")
	for _, to := range []string{"https://evil.test/", "//evil.test/", `/\evil.test`, "\t//evil.test", "/%09/evil.test", "javascript:alert(1)", "https:evil.test"} {
		page := o.browser(t).SignIn(o.Issuer+"/login?return_to="+url.QueryEscape(to), o.credentials(o.Person))
		if page.RedirectedTo != nil {
			t.Errorf("%q: %s", to, page)
		}
	}
}

// TestWrongPasswordTellsNothing compares an unknown name with a wrong password.
func TestWrongPasswordTellsNothing(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4: no user enumeration")
	wrong := relyingparty.Credentials{Connector: o.Connector, Username: o.Other.Username, Password: "wrong-password"}
	nobody := wrong
	nobody.Username = "nobody@example.test"
	a, b := o.browser(t).SignIn(o.Issuer+"/login", wrong), o.browser(t).SignIn(o.Issuer+"/login", nobody)
	textA, textB := a.Doc.Find("[role=alert]").Text(), b.Doc.Find("[role=alert]").Text()
	if textA != textB || textA == "" || a.Status != b.Status || a.Status != http.StatusUnauthorized {
		t.Errorf("%d %q and %d %q", a.Status, textA, b.Status, textB)
	}
}

func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 6749 section 5.2", "RFC 6749 section 5.1: no-store")
	for name, tc := range map[string]struct {
		p    client
		form url.Values
	}{
		"hostile grant": {o.First, url.Values{"grant_type": {"\"\\\r\n<script>"}}}, "hostile token": {o.First, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"\x00\"<>"}}},
		"hostile code": {o.First, url.Values{"grant_type": {"authorization_code"}, "code": {"' OR 1=1 --"}}}, "hostile client": {client{ID: "\"><script>"}, url.Values{"grant_type": {"x"}}},
		"huge": {o.First, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("x", 100_000)}}},
	} {
		refused(t, name, o.token(t, tc.p, tc.form), "invalid_request", "invalid_grant", "invalid_client", "unsupported_grant_type")
	}
}
