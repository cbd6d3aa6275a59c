package conformance_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// scope asks for everything.
const scope = "openid profile email groups offline_access"

// response is what an endpoint said.
type response struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (a response) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// do sends a request and reads the answer.
func (o *provider) do(t *testing.T, req *http.Request) response {
	t.Helper()
	resp, err := o.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := response{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body) // not everything is JSON; who needs it looks
	return a
}

func (o *provider) get(t *testing.T, address string, header http.Header) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	return o.do(t, req)
}

// metadata reads the discovery document.
func (o *provider) metadata(t *testing.T) response {
	t.Helper()
	return o.get(t, o.Issuer+"/.well-known/openid-configuration", nil)
}

// endpoint returns an address from the discovery document.
func (o *provider) endpoint(t *testing.T, name string) string {
	t.Helper()
	address := o.metadata(t).text(name)
	if address == "" {
		t.Fatalf("discovery has no %s", name)
	}
	return address
}

// post sends a form as a client.
func (o *provider) post(t *testing.T, p client, address string, form url.Values) response {
	t.Helper()
	form = maps.Clone(form)
	switch {
	case p.Key != nil:
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		if form.Get("client_assertion") == "" {
			form.Set("client_assertion", o.assertion(t, p, nil))
		}
	case !p.Basic:
		if _, given := form["client_id"]; !given {
			form.Set("client_id", p.ID)
		}
		if p.Secret != "" {
			form.Set("client_secret", p.Secret)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.Basic {
		req.SetBasicAuth(url.QueryEscape(p.ID), url.QueryEscape(p.Secret))
	}
	return o.do(t, req)
}

// assertion signs a client's own name.
func (o *provider) assertion(t *testing.T, p client, change map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(p.Key.Algorithm), Key: p.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": p.ID, "sub": p.ID, "aud": o.Issuer, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()}
	maps.Copy(claims, change)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// token asks the token endpoint.
func (o *provider) token(t *testing.T, p client, form url.Values) response {
	t.Helper()
	return o.post(t, p, o.endpoint(t, "token_endpoint"), form)
}

// browser is a fresh one without a session.
func (o *provider) browser(t *testing.T) *relyingparty.Browser {
	t.Helper()
	return relyingparty.NewBrowser(t, o.Issuer, o.http.Transport)
}

func (p *plan) credentials(who person) relyingparty.Credentials {
	return relyingparty.Credentials{Connector: p.Connector, Username: who.Username, Password: who.Password}
}

// verifier is PKCE for every request that does not say otherwise.
const verifier = "conformance-verifier-0123456789-0123456789-01"

// request returns the address of an authorization request.
func (o *provider) request(t *testing.T, p client, more url.Values) string {
	t.Helper()
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.ID}, "redirect_uri": {p.Redirect}, "scope": {scope},
		"state": {"state-1234"}, "nonce": {"nonce-1234"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for name, values := range more {
		if values == nil {
			q.Del(name)
			continue
		}
		q[name] = values
	}
	return o.endpoint(t, "authorization_endpoint") + "?" + q.Encode()
}

// callback signs in where needed and returns the parameters of the answer to the
// client, after the checks that hold for every answer.
func (o *provider) callback(t *testing.T, b *relyingparty.Browser, p client, more url.Values) url.Values {
	t.Helper()
	page := b.SignIn(o.request(t, p, more), o.credentials(o.Person))
	return o.checkCallback(t, page, p)
}

// checkCallback checks an answer to a client (section 5.3 of the checks).
func (o *provider) checkCallback(t *testing.T, page *relyingparty.Page, p client) url.Values {
	t.Helper()
	if page.RedirectedTo == nil {
		t.Fatalf("the browser did not go to the client: %s\n%s", page, page.Text)
	}
	want, err := url.Parse(p.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	got := page.RedirectedTo.Query()
	if page.RedirectedTo.Host != want.Host || page.RedirectedTo.Path != want.Path || page.RedirectedTo.Fragment != "" {
		t.Errorf("went to %s, want %s", page.RedirectedTo, want)
	}
	for name, values := range want.Query() {
		if got.Get(name) != values[0] {
			t.Errorf("the redirect URI's own %s is gone: %s", name, page.RedirectedTo)
		}
		got.Del(name)
	}
	if got.Get("iss") != o.Issuer {
		t.Errorf("iss %q, want %q (RFC 9207)", got.Get("iss"), o.Issuer)
	}
	if got.Get("error") != "" {
		checkError(t, got)
	}
	return got
}

// checkError holds for every error that goes to a client.
func checkError(t *testing.T, got url.Values) {
	t.Helper()
	if got.Get("code") != "" {
		t.Errorf("an error with a code: %v", got)
	}
	for name := range got {
		switch name {
		case "error", "error_description", "error_uri", "state", "iss":
		default:
			t.Errorf("unknown parameter %s in an error", name)
		}
	}
	checkDescription(t, got.Get("error_description"))
}

// checkDescription is RFC 6749 section 4.1.2.1.
func checkDescription(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			t.Errorf("error_description %q has %q", text, r)
		}
	}
}

// redeem exchanges a code.
func (o *provider) redeem(t *testing.T, p client, code string, more url.Values) response {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.Redirect}, "code_verifier": {verifier}}
	for name, values := range more {
		if values == nil {
			form.Del(name)
			continue
		}
		form[name] = values
	}
	return o.token(t, p, form)
}

// signIn does the whole flow and checks the answer.
func (o *provider) signIn(t *testing.T, b *relyingparty.Browser, p client, more url.Values) response {
	t.Helper()
	got := o.callback(t, b, p, more)
	if got.Get("error") != "" {
		t.Fatalf("answer %v", got)
	}
	tokens := o.redeem(t, p, got.Get("code"), nil)
	checkTokens(t, tokens)
	return tokens
}

// checkTokens holds for every successful answer of the token endpoint.
func checkTokens(t *testing.T, a response) {
	t.Helper()
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("%d %s %s", a.status, a.header.Get("Content-Type"), a.raw)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q (RFC 6749 section 5.1)", a.header.Get("Cache-Control"))
	}
	expires, isNumber := a.body["expires_in"].(float64)
	if a.text("access_token") == "" || !strings.EqualFold(a.text("token_type"), "Bearer") || !isNumber || expires <= 0 || expires > 365*24*3600 {
		t.Errorf("answer %s", a.raw)
	}
	checkSecret(t, "access token", a.text("access_token"))
	if token := a.text("refresh_token"); token != "" {
		checkSecret(t, "refresh token", token)
	}
}

// refused wants an error of the token endpoint and its likes.
func refused(t *testing.T, what string, a response, codes ...string) {
	t.Helper()
	found := false
	for _, code := range codes {
		found = found || a.text("error") == code
	}
	if !found || a.status < 400 || a.status > 499 {
		t.Errorf("%s: %d %s, want %v", what, a.status, a.raw, codes)
	}
	if a.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("%s: headers %v", what, a.header)
	}
	checkDescription(t, a.text("error_description"))
	if a.text("access_token") != "" || a.text("id_token") != "" {
		t.Errorf("%s: an error with a token: %s", what, a.raw)
	}
}

// keySet reads the published keys.
func (o *provider) keySet(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	got := o.get(t, o.endpoint(t, "jwks_uri"), nil)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(got.raw), &set); err != nil {
		t.Fatalf("%s: %v", got.raw, err)
	}
	return set
}

// idToken verifies an ID token with the published keys and checks what holds for
// every one (OpenID Connect Core section 2 and 3.1.3.7).
func (o *provider) idToken(t *testing.T, p client, raw, nonce string) map[string]any {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	set := o.keySet(t)
	keys := set.Key(token.Headers[0].KeyID)
	if token.Headers[0].KeyID == "" || len(keys) != 1 {
		t.Fatalf("kid %q is published %d times", token.Headers[0].KeyID, len(keys))
	}
	claims := map[string]any{}
	if err := token.Claims(keys[0].Key, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != o.Issuer || claims["aud"] != p.ID {
		t.Errorf("iss %v, aud %v, want %s and %s", claims["iss"], claims["aud"], o.Issuer, p.ID)
	}
	if nonce == "" && claims["nonce"] != nil || nonce != "" && claims["nonce"] != nonce {
		t.Errorf("nonce %v, want %q", claims["nonce"], nonce)
	}
	checkTimes(t, claims)
	checkClaims(t, claims)
	return claims
}

func checkTimes(t *testing.T, claims map[string]any) {
	t.Helper()
	now := time.Now()
	issued, expires, authenticated := timeClaim(claims, "iat"), timeClaim(claims, "exp"), timeClaim(claims, "auth_time")
	if now.Sub(issued).Abs() > 5*time.Minute || !expires.After(now) || expires.After(now.Add(24*time.Hour)) {
		t.Errorf("iat %v, exp %v", issued, expires)
	}
	if authenticated.After(now.Add(time.Second)) || now.Sub(authenticated) > 365*24*time.Hour {
		t.Errorf("auth_time %v", authenticated)
	}
}

func timeClaim(claims map[string]any, name string) time.Time {
	seconds, _ := claims[name].(float64)
	return time.Unix(int64(seconds), 0)
}

// checkClaims wants a subject, and standard claims of the right type that are
// never empty.
func checkClaims(t *testing.T, claims map[string]any) {
	t.Helper()
	sub, _ := claims["sub"].(string)
	if sub == "" || len(sub) > 255 || strings.ContainsFunc(sub, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("sub %q", sub)
	}
	for _, name := range []string{"name", "preferred_username", "email", "acr", "sid", "jti"} {
		if value, there := claims[name]; there {
			if text, isText := value.(string); !isText || text == "" || text == "null" {
				t.Errorf("%s = %v", name, value)
			}
		}
	}
	if value, there := claims["email_verified"]; there {
		if _, isBool := value.(bool); !isBool {
			t.Errorf("email_verified = %v", value)
		}
	}
}
