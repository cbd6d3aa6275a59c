package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// decodePart decodes a part of a JWT without verifying it.
func decodePart(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	pieces := strings.Split(token, ".")
	if len(pieces) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	body, err := base64.RawURLEncoding.DecodeString(pieces[i])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (o *provider) userInfo(t *testing.T, token string) response {
	t.Helper()
	return o.get(t, o.endpoint(t, "userinfo_endpoint"), http.Header{"Authorization": {"Bearer " + token}})
}

func TestCodeReuse(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-codereuse", "oidcc-codereuse-30seconds (access token)", "RFC 6749 section 4.1.2", "RFC 9700 section 2.1.1")
	code := o.callback(t, o.browser(t), o.First, nil).Get("code")
	tokens := o.redeem(t, o.First, code, nil)
	checkTokens(t, tokens)
	refused(t, "second use", o.redeem(t, o.First, code, nil), "invalid_grant")
	if got := o.userInfo(t, tokens.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("the first access token still works: %d", got.status)
	}
	refused(t, "first refresh token", o.refresh(t, o.First, tokens.text("refresh_token"), nil), "invalid_grant")
}

func TestCodeReuseLater(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-codereuse-30seconds")
	if !*longFlag {
		t.Skip("waits 30 seconds; run with -long")
	}
	code := o.callback(t, o.browser(t), o.First, nil).Get("code")
	checkTokens(t, o.redeem(t, o.First, code, nil))
	time.Sleep(30 * time.Second)
	got := o.redeem(t, o.First, code, nil)
	refused(t, "after 30 seconds", got, "invalid_grant")
	if got.status != http.StatusBadRequest {
		t.Errorf("status %d, want 400", got.status)
	}
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	o := check(t, "OAuth 2.1 section 4.1.2: at most ten minutes", "FAPI 2: expired code")
	if !*longFlag {
		t.Skip("waits a minute; run with -long")
	}
	code := o.callback(t, o.browser(t), o.First, nil).Get("code")
	time.Sleep(61 * time.Second)
	refused(t, "after a minute", o.redeem(t, o.First, code, nil), "invalid_grant")
}

// TestCodeReplayWithOtherParameters must not let an attacker who saw a code end the user's session.
func TestCodeReplayWithOtherParameters(t *testing.T) {
	t.Parallel()
	o := check(t, "OAuth 2.1 section 4.1.3: a replay with invalid parameters must not revoke")
	code := o.callback(t, o.browser(t), o.First, nil).Get("code")
	tokens := o.redeem(t, o.First, code, nil)
	refused(t, "another client", o.redeem(t, o.Second, code, url.Values{"redirect_uri": {o.First.Redirect}}), "invalid_grant")
	refused(t, "a wrong verifier", o.redeem(t, o.First, code, url.Values{"code_verifier": {strings.Repeat("x", 43)}}), "invalid_grant")
	if got := o.userInfo(t, tokens.text("access_token")); got.status != http.StatusOK {
		t.Errorf("a stranger's replay ended the session: %d", got.status)
	}
}

func TestCodeIsBound(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 6749 section 4.1.3", "FAPI 2: code bound to client", "RFC 9700 section 4.5")
	b := o.browser(t)
	code := o.callback(t, b, o.First, nil).Get("code")
	refused(t, "another client", o.redeem(t, o.Second, code, url.Values{"redirect_uri": {o.First.Redirect}}), "invalid_grant")
	refused(t, "another redirect URI", o.redeem(t, o.First, code, url.Values{"redirect_uri": {"https://first.test/cb"}}), "invalid_grant")
	refused(t, "made up", o.redeem(t, o.First, "made-up", nil), "invalid_grant")
	// The refused requests did not use it up.
	checkTokens(t, o.redeem(t, o.First, code, nil))
}

func TestPKCE(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-ensure-request-with-valid-pkce-succeeds", "RFC 7636", "RFC 9700 section 2.1.1 and 4.8", "FAPI 2: plain refused")
	b := o.browser(t)
	for name, more := range map[string]url.Values{
		"wrong verifier": {"code_verifier": {strings.Repeat("x", 43)}}, "no verifier": {"code_verifier": nil}, "too short": {"code_verifier": {"x"}},
		"the challenge itself": {"code_verifier": {challenge(verifier)}},
	} {
		refused(t, name, o.redeem(t, o.First, o.callback(t, b, o.First, nil).Get("code"), more), "invalid_grant", "invalid_request")
	}
	without := url.Values{"code_challenge": nil, "code_challenge_method": nil}
	code := o.callback(t, b, o.First, without).Get("code")
	refused(t, "a verifier without a challenge", o.redeem(t, o.First, code, nil), "invalid_grant")
	checkTokens(t, o.redeem(t, o.First, code, url.Values{"code_verifier": nil}))
	for name, more := range map[string]url.Values{
		"plain": {"code_challenge": {verifier}, "code_challenge_method": {"plain"}}, "no method": {"code_challenge_method": nil},
		"a method alone": {"code_challenge": nil}, "a challenge that is none": {"code_challenge": {"short"}},
	} {
		if got := o.callback(t, b, o.First, more); got.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, p := range []client{o.Public, o.Third} {
		if got := o.checkCallback(t, b.Get(o.request(t, p, without)), p); got.Get("error") != "invalid_request" {
			t.Errorf("%s without PKCE: %v", p.ID, got)
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-server-client-secret-post", "RFC 6749 section 2.3", "RFC 7523", "OAuth 2.1 section 5.2")
	b := o.browser(t)
	for _, p := range []client{o.First, o.Second, o.Keyed} {
		checkTokens(t, o.redeem(t, p, o.callback(t, b, p, nil).Get("code"), nil))
	}
	code := o.callback(t, b, o.First, nil).Get("code")
	wrong, none := o.First, o.First
	wrong.Secret, none.Secret, none.Basic = "wrong", "", false
	got := o.redeem(t, wrong, code, nil)
	refused(t, "wrong secret", got, "invalid_client")
	if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("%d %v (RFC 6749 section 5.2)", got.status, got.header)
	}
	refused(t, "no secret", o.redeem(t, none, code, nil), "invalid_client")
	refused(t, "unknown client", o.redeem(t, client{ID: "nobody", Secret: "x"}, code, nil), "invalid_client")
	refused(t, "two ways", o.redeem(t, o.First, code, url.Values{"client_secret": {o.First.Secret}}), "invalid_request", "invalid_client")
	keyed := o.callback(t, b, o.Keyed, nil).Get("code")
	for name, assertion := range map[string]string{
		"another audience": o.assertion(t, o.Keyed, map[string]any{"aud": "https://evil.test"}),
		"expired":          o.assertion(t, o.Keyed, map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}),
		"another subject":  o.assertion(t, o.Keyed, map[string]any{"sub": o.First.ID}),
		"not before":       o.assertion(t, o.Keyed, map[string]any{"nbf": time.Now().Add(2 * time.Minute).Unix()}),
	} {
		refused(t, name, o.redeem(t, o.Keyed, keyed, url.Values{"client_assertion": {assertion}}), "invalid_client", "invalid_request")
	}
	once := url.Values{"client_assertion": {o.assertion(t, o.Keyed, nil)}}
	checkTokens(t, o.redeem(t, o.Keyed, keyed, once))
	refused(t, "an assertion twice", o.token(t, o.Keyed, url.Values{"grant_type": {"client_credentials"}, "client_assertion": once["client_assertion"]}), "invalid_client")
}

func TestTokenEndpointForm(t *testing.T) {
	t.Parallel()
	o := check(t, "OAuth 2.1 section 3.2: POST only, form only, nothing in the query", "RFC 6749 section 3.2")
	code := o.callback(t, o.browser(t), o.First, nil).Get("code")
	address := o.endpoint(t, "token_endpoint")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {o.First.Redirect}, "code_verifier": {verifier}}
	if got := o.get(t, address+"?"+form.Encode(), nil); got.status == http.StatusOK {
		t.Errorf("GET works: %s", got.raw)
	}
	if got := o.post(t, o.First, address+"?"+form.Encode(), url.Values{}); got.status == http.StatusOK {
		t.Errorf("parameters in the query work: %s", got.raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(`{"grant_type":"authorization_code"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	refused(t, "JSON", o.do(t, req), "invalid_request")
	refused(t, "password grant", o.token(t, o.First, url.Values{"grant_type": {"password"}, "username": {o.Person.Username}, "password": {o.Person.Password}}), "unsupported_grant_type")
	refused(t, "no grant", o.token(t, o.First, url.Values{}), "unsupported_grant_type", "invalid_request")
	refused(t, "a grant that is not the client's", o.token(t, o.Second, url.Values{"grant_type": {"client_credentials"}}), "unauthorized_client")
	checkTokens(t, o.token(t, o.First, form))
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-userinfo-get", "oidcc-userinfo-post-header", "oidcc-scope-profile, -email, -all", "oidcc-claims-essential",
		"OpenID Connect Core section 5.3", "RFC 6750")
	b := o.browser(t)
	tokens := o.signIn(t, b, o.First, nil)
	token, address := tokens.text("access_token"), o.endpoint(t, "userinfo_endpoint")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		got := o.do(t, req)
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Fatalf("%s: %d %s", method, got.status, got.raw)
		}
		checkClaims(t, got.body)
		if got.body["sub"] != decodePart(t, tokens.text("id_token"), 1)["sub"] || got.body["name"] == nil || got.body["email"] != o.Person.Username || got.body["groups"] == nil {
			t.Errorf("%s: %s", method, got.raw)
		}
	}
	narrow := o.userInfo(t, o.signIn(t, b, o.First, url.Values{"scope": {"openid"}}).text("access_token"))
	if narrow.body["name"] != nil || narrow.body["email"] != nil || narrow.body["groups"] != nil || narrow.body["sub"] == nil {
		t.Errorf("more than was asked for: %s", narrow.raw)
	}
	named := o.signIn(t, b, o.First, url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"name":{"essential":true}}}`}})
	if got := o.userInfo(t, named.text("access_token")); got.body["name"] == nil {
		t.Errorf("without the essential claim: %s", got.raw)
	}
	for name, header := range map[string]http.Header{
		"no token": nil, "made up": {"Authorization": {"Bearer x"}}, "an ID token": {"Authorization": {"Bearer " + tokens.text("id_token")}},
		"a refresh token": {"Authorization": {"Bearer " + tokens.text("refresh_token")}}, "two": {"Authorization": {"Bearer " + token, "Bearer " + token}},
	} {
		got := o.get(t, address, header)
		if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
	if got := o.get(t, address+"?access_token="+url.QueryEscape(token), nil); got.status == http.StatusOK {
		t.Error("a token in the query works (OAuth 2.1 section 5.1.1)")
	}
}

func TestFormPost(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-formpost-basic", "OAuth 2.0 Form Post Response Mode section 2")
	b := o.browser(t)
	o.callback(t, b, o.First, nil)
	for name, more := range map[string]url.Values{"code": {"response_mode": {"form_post"}}, "error": {"response_mode": {"form_post"}, "response_type": {"token"}}} {
		page := b.Get(o.request(t, o.First, more))
		if page.RedirectedTo != nil {
			t.Fatalf("%s: the browser was redirected: %s", name, page)
		}
		form := page.Doc.Find("main form")
		got := url.Values{}
		for _, input := range form.Find("input").EachIter() {
			got.Set(input.AttrOr("name", ""), input.AttrOr("value", ""))
		}
		if form.AttrOr("action", "") != o.First.Redirect || !strings.EqualFold(form.AttrOr("method", ""), "post") {
			t.Errorf("%s: form %v", name, form)
		}
		if got.Get("state") != "state-1234" || got.Get("iss") != o.Issuer || (got.Get(name) == "") {
			t.Errorf("%s: posted %v", name, got)
		}
		if page.Header.Get("Cache-Control") != "no-store" || strings.Contains(page.Header.Get("Content-Security-Policy"), "unsafe-inline") {
			t.Errorf("%s: headers %v", name, page.Header)
		}
		if name == "code" {
			checkTokens(t, o.redeem(t, o.First, got.Get("code"), nil))
		}
	}
}
