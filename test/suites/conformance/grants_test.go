package conformance_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"
)

const (
	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType    = "urn:ietf:params:oauth:token-type:access_token"
	idTokenType   = "urn:ietf:params:oauth:token-type:id_token"
)

func (o *provider) refresh(t *testing.T, p client, token string, more url.Values) response {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	maps.Copy(form, more)
	return o.token(t, p, form)
}

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-refresh-token", "OpenID Connect Core section 12", "RFC 6749 section 6")
	b := o.browser(t)
	tokens := o.signIn(t, b, o.First, nil)
	before := o.idToken(t, o.First, tokens.text("id_token"), "nonce-1234")
	time.Sleep(1100 * time.Millisecond)
	got := o.refresh(t, o.First, tokens.text("refresh_token"), url.Values{"scope": {scope}})
	checkTokens(t, got)
	after := o.idToken(t, o.First, got.text("id_token"), "")
	for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time", "sid"} {
		if before[name] != after[name] {
			t.Errorf("%s was %v and is %v", name, before[name], after[name])
		}
	}
	if before["iat"] == after["iat"] || before["jti"] == after["jti"] || got.text("access_token") == tokens.text("access_token") {
		t.Error("nothing is fresh")
	}
	if got.text("refresh_token") == "" || got.text("refresh_token") == tokens.text("refresh_token") {
		t.Error("the refresh token does not rotate (RFC 9700 section 2.2.2)")
	}
	if without := o.signIn(t, b, o.First, url.Values{"scope": {"openid"}}); without.text("refresh_token") != "" {
		t.Error("a refresh token that nobody asked for")
	}
}

func TestRefreshTokenIsBound(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-refresh-token (second client)", "RFC 6749 section 10.4")
	b := o.browser(t)
	first, second := o.signIn(t, b, o.First, nil), o.signIn(t, b, o.Second, nil)
	got := o.refresh(t, o.Second, first.text("refresh_token"), nil)
	refused(t, "another client's", got, "invalid_grant")
	if got.status != http.StatusBadRequest {
		t.Errorf("status %d, want 400", got.status)
	}
	refused(t, "made up", o.refresh(t, o.First, "made-up", nil), "invalid_grant")
	checkTokens(t, o.refresh(t, o.Second, second.text("refresh_token"), nil))
	checkTokens(t, o.refresh(t, o.First, first.text("refresh_token"), nil))
}

func TestRefreshScope(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 6749 section 6: no more scope than was granted")
	tokens := o.signIn(t, o.browser(t), o.First, url.Values{"scope": {"openid email offline_access"}})
	refused(t, "more", o.refresh(t, o.First, tokens.text("refresh_token"), url.Values{"scope": {"openid email groups"}}), "invalid_scope")
	narrow := o.refresh(t, o.First, tokens.text("refresh_token"), url.Values{"scope": {"openid"}})
	checkTokens(t, narrow)
	if got := o.userInfo(t, narrow.text("access_token")); got.body["email"] != nil {
		t.Errorf("narrowed and not: %s", got.raw)
	}
	// The grant itself stays as wide as it was.
	wide := o.refresh(t, o.First, narrow.text("refresh_token"), nil)
	if got := o.userInfo(t, wide.text("access_token")); got.body["email"] == nil {
		t.Errorf("the grant shrank: %s", got.raw)
	}
}

func TestRefreshReplay(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.14.2: rotation with replay detection", "OAuth 2.1 section 4.3.1")
	first := o.signIn(t, o.browser(t), o.First, nil)
	second := o.refresh(t, o.First, first.text("refresh_token"), nil)
	checkTokens(t, second)
	// A client that lost the answer asks again and gets the very same.
	if again := o.refresh(t, o.First, first.text("refresh_token"), nil); again.raw != second.raw {
		t.Errorf("a retry got %s, want the same answer", again.raw)
	}
	third := o.refresh(t, o.First, second.text("refresh_token"), nil)
	checkTokens(t, third)
	// The first token once its successor was used: an attacker has a copy.
	refused(t, "replay", o.refresh(t, o.First, first.text("refresh_token"), nil), "invalid_grant")
	refused(t, "the family", o.refresh(t, o.First, third.text("refresh_token"), nil), "invalid_grant")
	if got := o.userInfo(t, third.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("the family's access token still works: %d", got.status)
	}
}

func TestRefreshGraceEnds(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 9700 section 4.14.2")
	if *issuerFlag != "" {
		t.Skip("only where the grace period is known")
	}
	first := o.signIn(t, o.browser(t), o.First, nil)
	second := o.refresh(t, o.First, first.text("refresh_token"), nil)
	time.Sleep(3200 * time.Millisecond)
	refused(t, "after the grace period", o.refresh(t, o.First, first.text("refresh_token"), nil), "invalid_grant")
	refused(t, "the family", o.refresh(t, o.First, second.text("refresh_token"), nil), "invalid_grant")
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 7009 section 2", "OAuth 2.1: the grant is checked at every refresh")
	b := o.browser(t)
	address := o.endpoint(t, "revocation_endpoint")
	revoke := func(p client, token, hint string) response {
		return o.post(t, p, address, url.Values{"token": {token}, "token_type_hint": {hint}})
	}
	tokens := o.signIn(t, b, o.First, nil)
	// The revocation by another client does nothing, and does not say so.
	if got := revoke(o.Second, tokens.text("refresh_token"), ""); got.status != http.StatusOK {
		t.Errorf("another client's token: %d", got.status)
	}
	if got := o.userInfo(t, tokens.text("access_token")); got.status != http.StatusOK {
		t.Errorf("another client ended it: %d", got.status)
	}
	if got := revoke(o.First, tokens.text("refresh_token"), "access_token"); got.status != http.StatusOK || got.raw != "" {
		t.Errorf("%d %q", got.status, got.raw)
	}
	refused(t, "a revoked refresh token", o.refresh(t, o.First, tokens.text("refresh_token"), nil), "invalid_grant")
	if got := o.userInfo(t, tokens.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("its access token still works: %d", got.status)
	}
	access := o.signIn(t, b, o.First, nil)
	revoke(o.First, access.text("access_token"), "")
	if got := o.userInfo(t, access.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("a revoked access token works: %d", got.status)
	}
	refused(t, "the grant of a revoked access token", o.refresh(t, o.First, access.text("refresh_token"), nil), "invalid_grant")
	if got := revoke(o.First, "made-up", ""); got.status != http.StatusOK {
		t.Errorf("an unknown token: %d (RFC 7009 section 2.2)", got.status)
	}
	refused(t, "nobody", o.post(t, client{ID: "first", Secret: "x"}, address, url.Values{"token": {"x"}}), "invalid_client")
	refused(t, "no token", o.post(t, o.First, address, url.Values{}), "invalid_request")
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 7662 section 2 and 4")
	address := o.endpoint(t, "introspection_endpoint")
	tokens := o.signIn(t, o.browser(t), o.First, nil)
	for _, token := range []string{tokens.text("access_token"), tokens.text("refresh_token")} {
		got := o.post(t, o.First, address, url.Values{"token": {token}})
		if got.status != http.StatusOK || got.body["active"] != true || got.body["client_id"] != o.First.ID || got.body["sub"] == nil || got.body["exp"] == nil {
			t.Errorf("%d %s", got.status, got.raw)
		}
		if got := o.post(t, o.Second, address, url.Values{"token": {token}}); got.body["active"] != false || len(got.body) != 1 {
			t.Errorf("another client learns: %s", got.raw)
		}
	}
	if got := o.post(t, o.First, address, url.Values{"token": {"made-up"}}); got.body["active"] != false || len(got.body) != 1 {
		t.Errorf("made up: %s", got.raw)
	}
	refused(t, "nobody", o.post(t, client{}, address, url.Values{"token": {tokens.text("access_token")}}), "invalid_client")
	refused(t, "a public client", o.post(t, o.Public, address, url.Values{"token": {tokens.text("access_token")}}), "invalid_client")
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 6749 section 4.4", "OAuth 2.1 section 4.2: confidential clients only")
	got := o.token(t, o.Keyed, url.Values{"grant_type": {"client_credentials"}})
	checkTokens(t, got)
	if got.text("refresh_token") != "" || got.text("id_token") != "" {
		t.Errorf("answer %s", got.raw)
	}
	refused(t, "a public client", o.token(t, o.Public, url.Values{"grant_type": {"client_credentials"}}), "unauthorized_client")
}

func (o *provider) exchange(t *testing.T, p client, form url.Values) response {
	t.Helper()
	form.Set("grant_type", exchangeGrant)
	if form.Get("subject_token_type") == "" {
		form.Set("subject_token_type", accessType)
	}
	return o.token(t, p, form)
}

func TestTokenExchange(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 8693 section 2", "RFC 8707", "RFC 9700 section 2.3: least privilege, one audience")
	b := o.browser(t)
	tokens := o.signIn(t, b, o.Public, nil)
	subject := tokens.text("access_token")
	got := o.exchange(t, o.Public, url.Values{"subject_token": {subject}, "audience": {o.Cluster}, "requested_token_type": {idTokenType}})
	if got.status != http.StatusOK || got.text("issued_token_type") != idTokenType || got.text("token_type") != "N_A" || got.text("refresh_token") != "" {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	claims := o.idToken(t, client{ID: o.Cluster}, got.text("access_token"), "")
	original := decodePart(t, tokens.text("id_token"), 1)
	if claims["azp"] != o.Public.ID || claims["sub"] != original["sub"] || claims["auth_time"] != original["auth_time"] {
		t.Errorf("claims %v", claims)
	}
	for name, tc := range map[string]struct {
		p    client
		form url.Values
		want string
	}{
		"no rule":                 {o.Public, url.Values{"subject_token": {subject}, "audience": {o.Forbidden}}, "invalid_target"},
		"unknown audience":        {o.Public, url.Values{"subject_token": {subject}, "audience": {"nobody"}}, "invalid_target"},
		"a client as audience":    {o.Public, url.Values{"subject_token": {subject}, "audience": {o.First.ID}}, "invalid_target"},
		"no audience":             {o.Public, url.Values{"subject_token": {subject}}, "invalid_target"},
		"unknown resource":        {o.Public, url.Values{"subject_token": {subject}, "resource": {"https://evil.test"}}, "invalid_target"},
		"an ID token as subject":  {o.Public, url.Values{"subject_token": {tokens.text("id_token")}, "audience": {o.Cluster}}, "invalid_grant"},
		"a cluster's token":       {o.Public, url.Values{"subject_token": {got.text("access_token")}, "audience": {o.Cluster}}, "invalid_grant"},
		"our own token as a JWT":  {o.Public, url.Values{"subject_token": {tokens.text("id_token")}, "audience": {o.Cluster}, "subject_token_type": {idTokenType}}, "invalid_grant"},
		"a refresh token":         {o.Public, url.Values{"subject_token": {tokens.text("refresh_token")}, "audience": {o.Cluster}}, "invalid_grant"},
		"an actor":                {o.Public, url.Values{"subject_token": {subject}, "audience": {o.Cluster}, "actor_token": {subject}}, "invalid_request"},
		"another requested type":  {o.Public, url.Values{"subject_token": {subject}, "audience": {o.Cluster}, "requested_token_type": {accessType}}, "invalid_request"},
		"an unknown subject type": {o.Public, url.Values{"subject_token": {subject}, "audience": {o.Cluster}, "subject_token_type": {"x"}}, "invalid_request"},
		"a client without it":     {o.First, url.Values{"subject_token": {subject}, "audience": {o.Cluster}}, "unauthorized_client"},
	} {
		refused(t, name, o.exchange(t, tc.p, tc.form), tc.want)
	}
	// A cluster's token opens nothing here.
	if got := o.userInfo(t, got.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("a cluster's token works at userinfo: %d", got.status)
	}
}

func TestDeviceGrant(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 8628 section 3")
	address := o.endpoint(t, "device_authorization_endpoint")
	codes := o.post(t, o.Public, address, url.Values{"scope": {scope}})
	checkSecret(t, "device code", codes.text("device_code"))
	interval, _ := codes.body["interval"].(float64)
	if codes.status != http.StatusOK || codes.text("user_code") == "" || codes.text("verification_uri") == "" || interval < 1 || codes.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", codes.status, codes.raw)
	}
	poll := func(p client) response {
		return o.token(t, p, url.Values{"grant_type": {deviceGrant}, "device_code": {codes.text("device_code")}})
	}
	refused(t, "before the answer", poll(o.Public), "authorization_pending")
	refused(t, "too soon", poll(o.Public), "slow_down")
	refused(t, "another client", o.token(t, client{ID: o.Cluster}, url.Values{"grant_type": {deviceGrant}, "device_code": {codes.text("device_code")}}), "invalid_grant")

	b := o.browser(t)
	page := b.Get(codes.text("verification_uri_complete"))
	if page.Doc.Find("button[name=answer]").Length() > 0 {
		t.Error("the complete address asks at once (RFC 8628 section 5.4)")
	}
	page = b.Submit(page, map[string]string{"user_code": codes.text("user_code")})
	as := o.credentials(o.Person)
	as.StopAtConfirmation = true
	page = b.SignIn(page.URL.String(), as)
	b.Submit(page, map[string]string{"answer": "yes"})

	// The early poll has made the interval grow by five seconds.
	time.Sleep(time.Duration(interval+5)*time.Second + 100*time.Millisecond)
	tokens := poll(o.Public)
	checkTokens(t, tokens)
	o.idToken(t, o.Public, tokens.text("id_token"), "")
	refused(t, "a second time", poll(o.Public), "invalid_grant")
	refused(t, "what it gave", o.refresh(t, o.Public, tokens.text("refresh_token"), nil), "invalid_grant")

	denied := o.post(t, o.Public, address, url.Values{"scope": {"openid"}})
	page = b.Submit(b.Get(denied.text("verification_uri")), map[string]string{"user_code": denied.text("user_code")})
	b.Submit(page, map[string]string{"answer": "no"})
	refused(t, "after a no", o.token(t, o.Public, url.Values{"grant_type": {deviceGrant}, "device_code": {denied.text("device_code")}}), "access_denied")
	refused(t, "made up", o.token(t, o.Public, url.Values{"grant_type": {deviceGrant}, "device_code": {"made-up"}}), "invalid_grant")
	refused(t, "unknown client", o.post(t, client{ID: "nobody"}, address, url.Values{"scope": {"openid"}}), "invalid_client")
	refused(t, "a client without it", o.post(t, o.First, address, url.Values{"scope": {"openid"}}), "unauthorized_client")
}
