package conformance_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestServer(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-server", "OpenID Connect Core section 3.1")
	got := o.callback(t, o.browser(t), o.First, nil)
	if got.Get("state") != "state-1234" {
		t.Errorf("state %q", got.Get("state"))
	}
	checkSecret(t, "code", got.Get("code"))
	tokens := o.redeem(t, o.First, got.Get("code"), nil)
	checkTokens(t, tokens)
	claims := o.idToken(t, o.First, tokens.text("id_token"), "nonce-1234")
	if claims["auth_time"] == nil || claims["azp"] != nil {
		t.Errorf("claims %v", claims)
	}
}

func TestIDTokenSignature(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-idtoken-signature", "OpenID Connect Core section 2 and 15.1")
	b := o.browser(t)
	for _, tc := range []struct {
		p   client
		alg string
	}{{o.First, "RS256"}, {o.Second, "ES256"}} {
		tokens := o.signIn(t, b, tc.p, nil)
		header := decodePart(t, tokens.text("id_token"), 0)
		if header["kid"] == nil || header["alg"] != tc.alg {
			t.Errorf("header %v, want %s", header, tc.alg)
		}
		o.idToken(t, tc.p, tokens.text("id_token"), "nonce-1234")
	}
}

func TestResponseType(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-response-type-missing", "RFC 6749 section 4.1.2.1", "RFC 9700 section 2.1.2: no implicit")
	for _, kind := range []string{"", "token", "id_token", "id_token token", "code id_token", "code token", "none"} {
		got := o.callback(t, o.browser(t), o.First, url.Values{"response_type": {kind}})
		if code := got.Get("error"); code != "unsupported_response_type" && code != "invalid_request" || got.Get("state") != "state-1234" {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

func TestStateComesBackExactly(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc checks of every callback: 128 characters", "RFC 6749 section 4.1.2")
	state := strings.Repeat("aZ9-._~&=%+ /?#\"'<>", 7)[:128]
	b := o.browser(t)
	for name, more := range map[string]url.Values{
		"code": {"state": {state}}, "error": {"state": {state}, "response_type": {"token"}}, "none": {"state": {state}, "prompt": {"none"}, "scope": {"email"}},
	} {
		if got := o.callback(t, b, o.First, more); got.Get("state") != state {
			t.Errorf("%s: state %q, want %q", name, got.Get("state"), state)
		}
	}
	if got := o.callback(t, b, o.First, url.Values{"state": nil}); got.Has("state") || got.Get("code") == "" {
		t.Errorf("without a state: %v", got)
	}
}

func TestWithoutNonce(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-ensure-request-without-nonce-succeeds-for-code-flow", "OpenID Connect Core section 3.1.2.1")
	tokens := o.signIn(t, o.browser(t), o.First, url.Values{"nonce": nil})
	o.idToken(t, o.First, tokens.text("id_token"), "")
}

func TestIgnoredParameters(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-display-page, -display-popup, -ui-locales, -claims-locales, -login-hint, -ensure-request-with-acr-values-succeeds",
		"oidcc-ensure-request-with-unknown-parameter-succeeds", "OpenID Connect Core section 3.1.2.1")
	b := o.browser(t)
	for name, value := range map[string]string{
		"display": "popup", "ui_locales": "se de-DE xx", "claims_locales": "fr", "login_hint": "jane@example.test", "acr_values": "1 2", "extra": "foobar",
		"claims": `{"userinfo":{"name":{"essential":true},"unknown":null}}`,
	} {
		if got := o.callback(t, b, o.First, url.Values{name: {value}}); got.Get("code") == "" {
			t.Errorf("%s=%s: %v", name, value, got)
		}
	}
}

func TestScopeOrder(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-alternate-happy-flow", "OpenID Connect Core section 3.1.2.1")
	tokens := o.signIn(t, o.browser(t), o.First, url.Values{"scope": {"groups email unknown profile openid"}})
	o.idToken(t, o.First, tokens.text("id_token"), "nonce-1234")
	got := o.callback(t, o.browser(t), o.First, url.Values{"scope": {"email"}})
	if got.Get("error") != "invalid_scope" {
		t.Errorf("without openid: %v", got)
	}
}

func TestPromptLogin(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-prompt-login", "OpenID Connect Core section 3.1.2.1 and 3.1.2.3")
	b := o.browser(t)
	first := o.idToken(t, o.First, o.signIn(t, b, o.First, nil).text("id_token"), "nonce-1234")
	time.Sleep(1100 * time.Millisecond)
	page := b.Get(o.request(t, o.First, url.Values{"prompt": {"login"}}))
	if page.RedirectedTo != nil {
		t.Fatalf("nobody was asked to sign in: %s", page)
	}
	second := o.idToken(t, o.First, o.signIn(t, b, o.First, url.Values{"prompt": {"login"}}).text("id_token"), "nonce-1234")
	if !timeClaim(second, "auth_time").After(timeClaim(first, "auth_time")) {
		t.Errorf("auth_time %v then %v", first["auth_time"], second["auth_time"])
	}
}

func TestPromptNone(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-prompt-none-not-logged-in", "oidcc-prompt-none-logged-in", "OpenID Connect Core section 3.1.2.6")
	b := o.browser(t)
	silent := url.Values{"prompt": {"none"}}
	if got := o.checkCallback(t, b.Get(o.request(t, o.First, silent)), o.First); got.Get("error") != "login_required" {
		t.Errorf("nobody signed in: %v", got)
	}
	first := o.idToken(t, o.First, o.signIn(t, b, o.First, nil).text("id_token"), "nonce-1234")
	page := b.Get(o.request(t, o.First, silent))
	second := o.idToken(t, o.First, o.redeem(t, o.First, o.checkCallback(t, page, o.First).Get("code"), nil).text("id_token"), "nonce-1234")
	if first["sub"] != second["sub"] || first["auth_time"] != second["auth_time"] {
		t.Errorf("claims %v then %v", first, second)
	}
	if got := o.callback(t, b, o.First, url.Values{"prompt": {"none login"}}); got.Get("error") != "invalid_request" {
		t.Errorf("none with another: %v", got)
	}
	// A native client can't prove who it is: nothing without the person.
	if got := o.checkCallback(t, b.Get(o.request(t, o.Public, silent)), o.Public); got.Get("error") != "interaction_required" {
		t.Errorf("a public client, silently: %v (RFC 8252 section 8.6)", got)
	}
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-max-age-1", "oidcc-max-age-10000", "OpenID Connect Core section 3.1.2.1")
	b := o.browser(t)
	first := o.idToken(t, o.First, o.signIn(t, b, o.First, url.Values{"max_age": {"15000"}}).text("id_token"), "nonce-1234")
	page := b.Get(o.request(t, o.First, url.Values{"max_age": {"10000"}}))
	second := o.idToken(t, o.First, o.redeem(t, o.First, o.checkCallback(t, page, o.First).Get("code"), nil).text("id_token"), "nonce-1234")
	if first["auth_time"] == nil || first["auth_time"] != second["auth_time"] {
		t.Errorf("auth_time %v then %v", first["auth_time"], second["auth_time"])
	}
	time.Sleep(2100 * time.Millisecond)
	if page := b.Get(o.request(t, o.First, url.Values{"max_age": {"1"}})); page.RedirectedTo != nil {
		t.Errorf("an old sign-in was good enough: %s", page)
	}
	third := o.idToken(t, o.First, o.signIn(t, b, o.First, url.Values{"max_age": {"1"}}).text("id_token"), "nonce-1234")
	if !timeClaim(third, "auth_time").After(timeClaim(first, "auth_time")) {
		t.Errorf("auth_time %v then %v", first["auth_time"], third["auth_time"])
	}
}

func TestIDTokenHint(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-id-token-hint", "OpenID Connect Core section 3.1.2.1 and 3.1.2.2")
	b := o.browser(t)
	tokens := o.signIn(t, b, o.First, nil)
	hint := tokens.text("id_token")
	page := b.Get(o.request(t, o.First, url.Values{"prompt": {"none"}, "id_token_hint": {hint}}))
	again := o.redeem(t, o.First, o.checkCallback(t, page, o.First).Get("code"), nil)
	if decodePart(t, again.text("id_token"), 1)["sub"] != decodePart(t, hint, 1)["sub"] {
		t.Error("another subject")
	}
	other := o.browser(t)
	other.SignIn(o.request(t, o.First, nil), o.credentials(o.Other))
	page = other.Get(o.request(t, o.First, url.Values{"prompt": {"none"}, "id_token_hint": {hint}}))
	if got := o.checkCallback(t, page, o.First); got.Get("error") != "login_required" {
		t.Errorf("somebody else is signed in: %v", got)
	}
	pieces := strings.Split(hint, ".")
	for name, bad := range map[string]string{
		"unsigned": "eyJhbGciOiJub25lIn0." + pieces[1] + ".", "changed": pieces[0] + "." + pieces[1] + "x." + pieces[2], "not a token": "x",
	} {
		got := o.checkCallback(t, b.Get(o.request(t, o.First, url.Values{"prompt": {"none"}, "id_token_hint": {bad}})), o.First)
		if got.Get("error") == "" || got.Get("code") != "" {
			t.Errorf("%s hint: %v", name, got)
		}
	}
}

// wantErrorPage wants an error page that does not lead to anybody.
func wantErrorPage(t *testing.T, what string, page *relyingparty.Page) {
	t.Helper()
	if page.RedirectedTo != nil || page.Status < 400 || page.Status > 499 {
		t.Errorf("%s: %s, want an error page", what, page)
		return
	}
	if page.Header.Get("Location") != "" || strings.Contains(page.Text, "evil.test") {
		t.Errorf("%s: the page leads on", what)
	}
}

func TestRedirectURI(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-ensure-registered-redirect-uri", "RFC 6749 section 3.1.2.4", "RFC 9700 section 2.1 and 4.1")
	b := o.browser(t)
	o.callback(t, b, o.First, nil) // signed in: nothing else keeps the browser here
	for name, uri := range map[string]string{
		"unregistered": "https://evil.test/cb", "longer path": "https://first.test/cb/x?dummy1=lorem&dummy2=ipsum", "no query": "https://first.test/cb",
		"query in another order": "https://first.test/cb?dummy2=ipsum&dummy1=lorem", "more query": o.First.Redirect + "&x=1", "fragment": o.First.Redirect + "#x",
		"another host": "https://first.test.evil.test/cb?dummy1=lorem&dummy2=ipsum", "user": "https://first.test@evil.test/cb?dummy1=lorem&dummy2=ipsum",
		"http": "http://first.test/cb?dummy1=lorem&dummy2=ipsum", "case": "https://FIRST.test/cb?dummy1=lorem&dummy2=ipsum", "missing": "",
		"of another client": o.Second.Redirect, "dots": "https://first.test/x/../cb?dummy1=lorem&dummy2=ipsum",
	} {
		wantErrorPage(t, name, b.Get(o.request(t, o.First, url.Values{"redirect_uri": {uri}})))
		wantErrorPage(t, name+", silently", b.Get(o.request(t, o.First, url.Values{"redirect_uri": {uri}, "prompt": {"none"}})))
	}
	wantErrorPage(t, "unknown client", b.Get(o.request(t, client{ID: "nobody", Redirect: "https://evil.test/cb"}, nil)))
	wantErrorPage(t, "no client", b.Get(o.request(t, o.First, url.Values{"client_id": nil})))
	wantErrorPage(t, "two redirect URIs", b.Get(o.request(t, o.First, url.Values{"redirect_uri": {o.First.Redirect, "https://evil.test/cb"}})))
	wantErrorPage(t, "two clients", b.Get(o.request(t, o.First, url.Values{"client_id": {o.First.ID, o.Second.ID}})))
}

func TestLoopbackRedirect(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 8252 section 7.3", "OAuth 2.1 section 8.4.2")
	b := o.browser(t)
	for _, uri := range []string{"http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "http://[::1]:4000/callback"} {
		p := o.Public
		p.Redirect = uri
		if got := o.callback(t, b, p, nil); got.Get("code") == "" {
			t.Errorf("%s: %v", uri, got)
		}
	}
	for _, uri := range []string{"http://127.0.0.1:1/other", "https://127.0.0.1:1/callback", "http://127.0.0.1.evil.test/callback", "http://127.0.0.1:80@evil.test/callback", "http://127.0.0.2:1/callback"} {
		wantErrorPage(t, uri, b.Get(o.request(t, o.Public, url.Values{"redirect_uri": {uri}})))
	}
}

func TestPostRequest(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-ensure-post-request-succeeds", "OpenID Connect Core section 3.1.2.1")
	b := o.browser(t)
	o.callback(t, b, o.First, nil)
	address, query, _ := strings.Cut(o.request(t, o.First, nil), "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.checkCallback(t, b.Post(address, form), o.First); got.Get("code") == "" {
		t.Errorf("answer %v", got)
	}
}

func TestRequestObjects(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
		"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", "oidcc-ensure-request-object-with-redirect-uri",
		"OpenID Connect Core section 6")
	b := o.browser(t)
	for name, want := range map[string]string{"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported"} {
		value := "eyJhbGciOiJub25lIn0.e30."
		if name == "request_uri" {
			value = "https://evil.test/request"
		}
		if got := o.callback(t, b, o.First, url.Values{name: {value}}); got.Get("error") != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRepeatedParameters(t *testing.T) {
	t.Parallel()
	o := check(t, "OAuth 2.1 section 3.1: a parameter sent twice is an error", "RFC 6749 section 3.1 and 3.2")
	b := o.browser(t)
	for _, name := range []string{"scope", "nonce", "code_challenge", "response_type", "unknown"} {
		if got := o.callback(t, b, o.First, url.Values{name: {"openid", "openid"}}); got.Get("error") != "invalid_request" {
			t.Errorf("%s twice: %v", name, got)
		}
	}
	code := o.callback(t, b, o.First, nil).Get("code")
	refused(t, "two codes", o.redeem(t, o.First, code, url.Values{"code": {code, code}}), "invalid_request")
	if tokens := o.redeem(t, o.First, code, url.Values{"unknown": {""}, "scope": {""}}); tokens.status != http.StatusOK {
		t.Errorf("an empty parameter must count as absent: %s", tokens.raw)
	}
}

func TestConsent(t *testing.T) {
	t.Parallel()
	o := check(t, "OpenID Connect Core section 3.1.2.4", "FAPI 2: user rejects")
	b := o.browser(t)
	o.callback(t, b, o.First, nil)
	narrow := url.Values{"scope": {"openid email"}}
	if got := o.checkCallback(t, b.Get(o.request(t, o.Third, url.Values{"prompt": {"none"}, "scope": {"openid email"}})), o.Third); got.Get("error") != "consent_required" {
		t.Errorf("silently: %v", got)
	}
	no := b.Submit(b.Get(o.request(t, o.Third, narrow)), map[string]string{"answer": "no"})
	if got := o.checkCallback(t, no, o.Third); got.Get("error") != "access_denied" || got.Get("state") != "state-1234" {
		t.Errorf("after a no: %v", got)
	}
	if got := o.callback(t, b, o.Third, narrow); got.Get("code") == "" {
		t.Errorf("after a yes: %v", got)
	}
	if got := o.checkCallback(t, b.Get(o.request(t, o.Third, narrow)), o.Third); got.Get("code") == "" {
		t.Errorf("asked a second time: %v", got)
	}
	if page := b.Get(o.request(t, o.Third, url.Values{"scope": {"openid email groups"}})); page.RedirectedTo != nil {
		t.Errorf("more was given than was agreed to: %s", page)
	}
	if page := b.Get(o.request(t, o.Third, url.Values{"scope": {"openid email"}, "prompt": {"consent"}})); page.RedirectedTo != nil {
		t.Errorf("prompt=consent did not ask: %s", page)
	}
}
