package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// deviceCodes is the answer of the device authorization endpoint.
type deviceCodes struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	Interval   int    `json:"interval"`
}

func (w *world) askDevice(t *testing.T, c *relyingparty.Client) deviceCodes {
	t.Helper()
	got := c.Post(t, "/device/authorize", url.Values{"client_id": {c.ID}, "scope": {"openid groups offline_access"}, "fairlead_host": {"jump-host"}})
	var codes deviceCodes
	if err := json.Unmarshal([]byte(got.Raw), &codes); err != nil || codes.DeviceCode == "" || codes.Interval != 5 {
		t.Fatalf("%s: %v", got.Raw, err)
	}
	return codes
}

func (w *world) poll(t *testing.T, code string) relyingparty.Tokens {
	t.Helper()
	return w.plugin.Token(t, url.Values{"grant_type": {deviceGrant}, "device_code": {code}})
}

// answerDevice types the code in a browser, signs in and answers.
func answerDevice(t *testing.T, b *relyingparty.Browser, page, code, answer string) *relyingparty.Page {
	t.Helper()
	p := b.Submit(b.Get(page), map[string]string{"user_code": code})
	if p.Doc.Find("input[type=password], ul.choices").Length() > 0 {
		p = b.SignIn(p.URL.String(), relyingparty.Credentials{Connector: "Corp", Username: "jane", Password: "right", Stop: true})
	}
	if p.Doc.Find("button[name=answer]").Length() == 0 {
		return p
	}
	return b.Submit(p, map[string]string{"answer": answer})
}

func TestDeviceGrant(t *testing.T) {
	t.Parallel()
	storetestEach(t, func(t *testing.T, w *world) {
		codes := w.askDevice(t, w.plugin)

		// 1. Nobody has answered; asking again at once is too often.
		if got := w.poll(t, codes.DeviceCode); got.Error != "authorization_pending" {
			t.Errorf("first poll: %s", got.Raw)
		}
		if got := w.poll(t, codes.DeviceCode); got.Error != "slow_down" {
			t.Errorf("poll at once: %s", got.Raw)
		}
		w.clock.add(6 * time.Second)
		if got := w.poll(t, codes.DeviceCode); got.Error != "slow_down" {
			t.Errorf("the interval must have grown: %s", got.Raw)
		}

		// 2. The complete address fills the code in, and approves nothing.
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		p := b.Get(codes.Complete)
		if p.Doc.Find("input[name=user_code]").AttrOr("value", "") != codes.UserCode || p.Doc.Find("button[name=answer]").Length() != 0 {
			t.Errorf("page of the complete address:\n%s", p.Text)
		}

		// 3. The person sees who asks and says yes.
		p = b.Submit(p, nil)
		p = b.SignIn(p.URL.String(), relyingparty.Credentials{Connector: "Corp", Username: "jane", Password: "right", Stop: true})
		for _, must := range []string{"jump-host", "127.0.0.1", codes.UserCode, "use all of your clusters", "jane"} {
			if !strings.Contains(p.Text, must) {
				t.Errorf("the question does not show %q:\n%s", must, p.Text)
			}
		}
		b.Submit(p, map[string]string{"answer": "yes"})

		// 4. The program gets its tokens, once.
		w.clock.add(30 * time.Second)
		tokens := w.poll(t, codes.DeviceCode)
		if tokens.RefreshToken == "" || relyingparty.Claims(t, tokens.IDToken)["preferred_username"] != nil {
			t.Fatalf("tokens: %s", tokens.Raw)
		}
		if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "" {
			t.Errorf("exchange: %s", got.Raw)
		}
		if got := w.poll(t, codes.DeviceCode); got.Error != "invalid_grant" {
			t.Errorf("second use: %s", got.Raw)
		}
		if got := w.plugin.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("a second use must end what the first gave: %s", got.Raw)
		}
		if len(w.events(t, audit.TokenReplayed)) != 1 {
			t.Error("the replay is not audited")
		}
	})
}

func TestDeviceGrantRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	denied := w.askDevice(t, w.plugin)
	answerDevice(t, b, denied.Page, denied.UserCode, "no")
	if got := w.poll(t, denied.DeviceCode); got.Error != "access_denied" {
		t.Errorf("denied: %s", got.Raw)
	}
	if p := answerDevice(t, b, denied.Page, denied.UserCode, "yes"); p.Doc.Find("[role=alert]").Length() == 0 {
		t.Errorf("a second answer must not count: %s", p.Text)
	}
	expired := w.askDevice(t, w.plugin)
	other := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	if got := other.Token(t, url.Values{"grant_type": {deviceGrant}, "device_code": {expired.DeviceCode}}); got.Error != "invalid_grant" {
		t.Errorf("another client's code: %s", got.Raw)
	}
	w.clock.add(11 * time.Minute)
	if got := w.poll(t, expired.DeviceCode); got.Error != "expired_token" {
		t.Errorf("expired: %s", got.Raw)
	}
	if p := answerDevice(t, b, expired.Page, expired.UserCode, "yes"); p.Doc.Find("[role=alert]").Length() == 0 {
		t.Errorf("an expired code must not be answered: %s", p.Text)
	}
	if got := w.poll(t, "made-up"); got.Error != "invalid_grant" {
		t.Errorf("unknown code: %s", got.Raw)
	}
	if got := (&relyingparty.Client{Issuer: w.issuer}).Post(t, "/device/authorize", url.Values{"client_id": {"nobody"}, "scope": {"openid"}}); got.Error != "invalid_client" {
		t.Errorf("unknown client: %s", got.Raw)
	}
	// A cluster that the person may not use.
	ops := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-c"}
	codes := w.askDevice(t, ops)
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); p.Status != http.StatusForbidden {
		t.Errorf("no access rule: %s", p)
	}
}

// TestUserCodesCanNotBeGuessed also shows that the right code is refused while
// the limit holds, and that it opens by itself.
func TestUserCodesCanNotBeGuessed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	codes := w.askDevice(t, w.plugin)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	answerDevice(t, b, codes.Page, "BBBB-BBBB", "yes")
	for range 10 {
		answerDevice(t, b, codes.Page, "BBBB-BBBC", "yes")
	}
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); !strings.Contains(p.Text, "Too many wrong codes") {
		t.Errorf("still guessing: %s", p.Text)
	}
	if len(w.events(t, audit.DeviceCodeRefused)) == 0 {
		t.Error("not audited")
	}
	w.clock.add(16 * time.Minute)
	codes = w.askDevice(t, w.plugin)
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); !strings.Contains(p.Text, "Done") {
		t.Errorf("it does not open: %s", p.Text)
	}
}

func TestDeviceRequestsAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var last relyingparty.Tokens
	for range 61 {
		last = w.plugin.Post(t, "/device/authorize", url.Values{"client_id": {"kubectl-fairlead"}, "scope": {"openid"}})
	}
	if last.Status != http.StatusTooManyRequests || w.rows(t)["device_codes"] != 60 {
		t.Errorf("%d %s, %d rows", last.Status, last.Raw, w.rows(t)["device_codes"])
	}
}

func TestConsentIsAskedOnceAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	request := func(more url.Values) string {
		q := url.Values{"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {"https://wiki.test/cb"}, "scope": {"openid email offline_access"}, "state": {"s"}}
		maps.Copy(q, more)
		return w.issuer + "/authorize?" + q.Encode()
	}
	b.SignIn(w.issuer+"/login", asJane())
	silent := url.Values{"prompt": {"none"}}
	if got := b.Get(request(silent)); got.Left.Query().Get("error") != "consent_required" {
		t.Fatalf("silent before consent: %s", got)
	}
	// Saying no goes back to the client.
	if got := b.Submit(b.Get(request(nil)), map[string]string{"answer": "no"}); got.Left.Query().Get("error") != "access_denied" {
		t.Errorf("no: %s", got)
	}
	p := b.Get(request(nil))
	if !strings.Contains(p.Text, "your e-mail address") || strings.Contains(p.Text, "your groups") {
		t.Errorf("the page must say what the client sees:\n%s", p.Text)
	}
	code := b.Submit(p, map[string]string{"answer": "yes"}).Code(t)
	tokens := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://wiki.test/cb"}, "client_id": {"wiki"}, "client_secret": {"wiki-secret"},
	})
	if tokens.RefreshToken == "" {
		t.Fatal(tokens.Raw)
	}
	b.Get(request(silent)).Code(t)
	if got := b.Get(request(url.Values{"prompt": {"none"}, "scope": {"openid email groups"}})); got.Left.Query().Get("error") != "consent_required" {
		t.Errorf("more than was allowed: %s", got)
	}
	if got := b.Get(request(url.Values{"prompt": {"consent"}})); got.Left != nil {
		t.Errorf("prompt=consent asks again: %s", got)
	}
	if len(w.events(t, audit.ConsentGranted)) != 1 {
		t.Error("not audited")
	}
}

func TestFormPost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	request := func(more url.Values) string {
		q := url.Values{
			"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"},
			"state": {`a"><b>&'`}, "response_mode": {"form_post"},
		}
		maps.Copy(q, more)
		return w.issuer + "/authorize?" + q.Encode()
	}
	fields := func(p *relyingparty.Page) map[string]string {
		got := map[string]string{}
		p.Doc.Find("main form input").Each(func(_ int, s *relyingparty.Selection) { got[s.AttrOr("name", "")] = s.AttrOr("value", "") })
		return got
	}
	refused := b.Get(request(url.Values{"prompt": {"none"}}))
	if got := fields(refused); got["error"] != "login_required" || got["state"] != `a"><b>&'` || got["iss"] != w.issuer {
		t.Errorf("refusal %v", got)
	}
	b.SignIn(w.issuer+"/login", asJane())
	p := b.Get(request(nil))
	if got := fields(p); got["code"] == "" || got["error"] != "" || p.Doc.Find("form").AttrOr("action", "") != "https://grafana.test/cb?x=1" {
		t.Errorf("answer %v:\n%s", got, p.Text)
	}
	if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://grafana.test;") || p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", p.Header)
	}
}

// TestWhomTheClientMeans is id_token_hint and the sub of the claims parameter.
func TestWhomTheClientMeans(t *testing.T) {
	t.Parallel()
	w := setup(t)
	john := jane("dev")
	john.Identity.Subject, john.Identity.Username = "2", "john"
	w.upstream.Set(john)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	hers := w.plugin.SignIn(t, b, asJane())
	his := w.plugin.SignIn(t, relyingparty.NewBrowser(t, w.issuer, nil), relyingparty.Credentials{Connector: "Corp", Username: "john", Password: "right"})
	request := func(more url.Values) string {
		q := url.Values{"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"}}
		maps.Copy(q, more)
		return w.issuer + "/authorize?" + q.Encode()
	}
	b.Get(request(url.Values{"prompt": {"none"}, "id_token_hint": {hers.IDToken}})).Code(t)
	sub, _ := relyingparty.Claims(t, his.IDToken)["sub"].(string)
	parts := strings.Split(hers.IDToken, ".")
	for name, tc := range map[string]struct {
		more url.Values
		want string
	}{
		"somebody else, silently":       {url.Values{"prompt": {"none"}, "id_token_hint": {his.IDToken}}, "login_required"},
		"somebody else, by claims":      {url.Values{"prompt": {"none"}, "claims": {`{"id_token":{"sub":{"value":"` + sub + `"}}}`}}, "login_required"},
		"an unsigned hint":              {url.Values{"id_token_hint": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}}, "invalid_request"},
		"claims that can't be read":     {url.Values{"claims": {"{"}}, "invalid_request"},
		"a class that nobody can reach": {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["x"]}}}`}}, "unmet_authentication_requirements"},
		"two people at once":            {url.Values{"id_token_hint": {hers.IDToken}, "claims": {`{"id_token":{"sub":{"value":"` + sub + `"}}}`}}, "invalid_request"},
	} {
		if got := b.Get(request(tc.more)); got.Left == nil || got.Left.Query().Get("error") != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	// With pages allowed the other person may sign in, once.
	p := b.SignIn(request(url.Values{"id_token_hint": {his.IDToken}}), asJane())
	if p.Left == nil || p.Left.Query().Get("error") != "login_required" {
		t.Errorf("signed in as the wrong person again: %s", p)
	}
	b.SignIn(request(url.Values{"id_token_hint": {his.IDToken}}), relyingparty.Credentials{Connector: "Corp", Username: "john", Password: "right"}).Code(t)
	// The claims parameter adds what its claims come with.
	code := b.Get(request(url.Values{"claims": {`{"userinfo":{"name":{"essential":true},"email":null}}`}})).Code(t)
	tokens := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	if tokens.Scope != "openid profile email" && tokens.Scope != "openid email profile" {
		t.Errorf("scope %q", tokens.Scope)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := setup(t)
	robot := &relyingparty.Client{Issuer: w.issuer, ID: "robot"}
	got := robot.Token(t, url.Values{"grant_type": {"client_credentials"}, "client_secret": {"old"}})
	if got.AccessToken == "" || got.RefreshToken != "" || got.IDToken != "" {
		t.Fatalf("answer %s", got.Raw)
	}
	exchange := func(audience, resource string) relyingparty.Tokens {
		return robot.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_secret": {"new"}, "audience": {audience}, "resource": {resource},
			"subject_token": {got.AccessToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		})
	}
	cluster := exchange("k8s-c", "")
	claims := relyingparty.Claims(t, cluster.AccessToken)
	if claims["preferred_username"] != "service:robot" || !cmp.Equal(claims["groups"], []any{"corp:ops"}) || claims["aud"] != "k8s-c" {
		t.Errorf("claims %v", claims)
	}
	if got := exchange("", "https://c.test/"); relyingparty.Claims(t, got.AccessToken)["aud"] != "k8s-c" {
		t.Errorf("by resource: %s", got.Raw)
	}
	for name, refused := range map[string]relyingparty.Tokens{"no rule": exchange("k8s-a", ""), "two clusters": exchange("k8s-c", "https://a.test"), "unknown": exchange("", "https://x.test")} {
		if refused.Error != "invalid_target" {
			t.Errorf("%s: %s", name, refused.Raw)
		}
	}
	if got := w.plugin.Token(t, url.Values{"grant_type": {"client_credentials"}}); got.Error != "unauthorized_client" {
		t.Errorf("a public client: %s", got.Raw)
	}
	uses, err := w.store.LastUses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{secret.Hash("old"), secret.Hash("new")} {
		if uses[store.SecretUse("robot", hash)].IsZero() {
			t.Errorf("the use of a secret is not noted: %v", uses)
		}
	}
}

func ecKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

func signJWT(t *testing.T, key jose.JSONWebKey, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, key := range keys {
		set.Keys = append(set.Keys, key.Public())
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key, stranger := ecKey(t, "k1"), ecKey(t, "k1")
	w.settings.Clients = append(w.settings.Clients, store.Client{
		ID: "keyed", Name: "Keyed", Grants: store.Strings{"client_credentials"}, KeySet: keySet(t, key), Origin: store.Origin{Origin: store.OriginFile},
	})
	apply(t, w.store, w.settings, w.clock.now())
	now := w.clock.now()
	claims := func(change func(m map[string]any)) map[string]any {
		m := map[string]any{"iss": "keyed", "sub": "keyed", "aud": w.issuer, "exp": now.Add(time.Minute).Unix(), "jti": secret.ID("jti")}
		if change != nil {
			change(m)
		}
		return m
	}
	try := func(assertion string, more url.Values) relyingparty.Tokens {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"keyed"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		maps.Copy(form, more)
		return w.plugin.Post(t, "/token", form)
	}
	good := signJWT(t, key, claims(nil))
	if got := try(good, nil); got.AccessToken == "" {
		t.Fatalf("good: %s", got.Raw)
	}
	if got := try(signJWT(t, key, claims(func(m map[string]any) { m["aud"] = w.issuer + "/token" })), nil); got.AccessToken == "" {
		t.Errorf("the token endpoint as audience: %s", got.Raw)
	}
	set := func(name string, value any) string {
		return signJWT(t, key, claims(func(m map[string]any) { m[name] = value }))
	}
	for name, assertion := range map[string]string{
		"used before":       good,
		"a stranger's key":  signJWT(t, stranger, claims(nil)),
		"another audience":  set("aud", "https://else.test"),
		"two audiences":     set("aud", []string{w.issuer, "https://else.test"}),
		"another issuer":    set("iss", "other"),
		"expired":           set("exp", now.Add(-time.Minute).Unix()),
		"too long a life":   set("exp", now.Add(time.Hour).Unix()),
		"from the future":   set("nbf", now.Add(time.Hour).Unix()),
		"issued in future":  set("iat", now.Add(time.Hour).Unix()),
		"without an id":     set("jti", ""),
		"unsigned":          "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".",
		"not a token":       "x",
		"of another client": signJWT(t, key, claims(func(m map[string]any) { m["iss"], m["sub"] = "robot", "robot" })),
	} {
		if got := try(assertion, nil); got.Error != "invalid_client" && got.Error != "invalid_request" {
			t.Errorf("%s: %s", name, got.Raw)
		}
	}
	if got := try(set("x", 1), url.Values{"client_secret": {"s"}}); got.Error != "invalid_request" {
		t.Errorf("two ways at once: %s", got.Raw)
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	page := b.SignIn(w.issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid email offline_access"},
	}.Encode(), asJane())
	tokens := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	ask := func(client, secret, token string) map[string]any {
		t.Helper()
		got := w.plugin.Post(t, "/introspect", url.Values{"client_id": {client}, "client_secret": {secret}, "token": {token}})
		var answer map[string]any
		if err := json.Unmarshal([]byte(got.Raw), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	for name, token := range map[string]string{"access": tokens.AccessToken, "refresh": tokens.RefreshToken} {
		got := ask("grafana", "s3cret", token)
		if got["active"] != true || got["client_id"] != "grafana" || got["sub"] != relyingparty.Claims(t, tokens.IDToken)["sub"] || got["iss"] != w.issuer {
			t.Errorf("%s: %v", name, got)
		}
		// Somebody else's token is as good as none.
		if got := ask("wiki", "wiki-secret", token); !cmp.Equal(got, map[string]any{"active": false}) {
			t.Errorf("%s, another client: %v", name, got)
		}
	}
	if got := ask("grafana", "s3cret", "made-up"); !cmp.Equal(got, map[string]any{"active": false}) {
		t.Errorf("made up: %v", got)
	}
	for name, form := range map[string]url.Values{
		"nobody": {"token": {tokens.AccessToken}}, "a public client": {"token": {tokens.AccessToken}, "client_id": {"kubectl-fairlead"}},
		"a wrong secret": {"token": {tokens.AccessToken}, "client_id": {"grafana"}, "client_secret": {"x"}},
	} {
		if got := w.plugin.Post(t, "/introspect", form); got.Status != http.StatusUnauthorized || strings.Contains(got.Raw, "active") {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	// One without a device ends alone, and that is an event.
	alone := b.Get(w.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"},
	}.Encode())
	short := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {alone.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	w.plugin.Post(t, "/revoke", url.Values{"client_id": {"grafana"}, "client_secret": {"s3cret"}, "token": {short.AccessToken}})
	if got := ask("grafana", "s3cret", short.AccessToken); got["active"] != false || len(w.events(t, audit.TokenRevoked)) != 1 {
		t.Errorf("revoked alone: %v, events %+v", got, w.events(t, audit.TokenRevoked))
	}
	// Revoking the access token ends the whole grant.
	w.plugin.Post(t, "/revoke", url.Values{"client_id": {"grafana"}, "client_secret": {"s3cret"}, "token": {tokens.AccessToken}})
	for _, token := range []string{tokens.AccessToken, tokens.RefreshToken} {
		if got := ask("grafana", "s3cret", token); got["active"] != false {
			t.Errorf("revoked: %v", got)
		}
	}
}

// TestAMachineBringsItsOwnToken plays a CI platform.
func TestAMachineBringsItsOwnToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key, stranger := ecKey(t, "ci"), ecKey(t, "ci")
	const platform = "https://ci.test"
	file := store.Origin{Origin: store.OriginFile}
	w.settings.Issuers = []store.TrustedIssuer{{ID: "ci", URL: platform, Audience: "fairlead", KeySet: keySet(t, key), Origin: file}}
	w.settings.Machines = []store.MachineRule{
		{ID: "deploy", Description: "Deploys", IssuerID: "ci", Claims: store.ClaimRules{"repository": {"acme/shop"}, "ref": {"refs/heads/main"}}, GroupNames: store.Strings{"corp:dev"}, Origin: file},
		{ID: "check", Position: 1, Description: "Checks", IssuerID: "ci", Claims: store.ClaimRules{"repository": {"acme/shop"}}, Origin: file},
	}
	apply(t, w.store, w.settings, w.clock.now())
	now := w.clock.now()
	claims := func(change map[string]any) map[string]any {
		m := map[string]any{
			"iss": platform, "aud": "fairlead", "sub": "repo:acme/shop", "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(),
			"repository": "acme/shop", "ref": "refs/heads/main",
		}
		maps.Copy(m, change)
		return m
	}
	try := func(token, audience string) relyingparty.Tokens {
		return w.plugin.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {audience},
			"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
	}
	got := try(signJWT(t, key, claims(nil)), "k8s-a")
	if got.RefreshToken != "" || got.Error != "" {
		t.Fatalf("answer %s", got.Raw)
	}
	token := relyingparty.Claims(t, got.AccessToken)
	if token["preferred_username"] != "machine:deploy" || !cmp.Equal(token["groups"], []any{"corp:dev"}) || token["aud"] != "k8s-a" || token["sid"] != nil {
		t.Errorf("claims %v", token)
	}
	for name, tc := range map[string]struct{ token, audience, want string }{
		"another branch is another machine": {signJWT(t, key, claims(map[string]any{"ref": "refs/heads/x"})), "k8s-a", "invalid_target"},
		"a cluster without a rule":          {signJWT(t, key, claims(nil)), "k8s-c", "invalid_target"},
		"another repository":                {signJWT(t, key, claims(map[string]any{"repository": "acme/shop2"})), "k8s-a", "invalid_grant"},
		"a longer name":                     {signJWT(t, key, claims(map[string]any{"repository": "acme/shop/x"})), "k8s-a", "invalid_grant"},
		"another audience":                  {signJWT(t, key, claims(map[string]any{"aud": "else"})), "k8s-a", "invalid_grant"},
		"expired":                           {signJWT(t, key, claims(map[string]any{"exp": now.Add(-time.Minute).Unix()})), "k8s-a", "invalid_grant"},
		"a stranger's key":                  {signJWT(t, stranger, claims(nil)), "k8s-a", "invalid_grant"},
		"another platform":                  {signJWT(t, key, claims(map[string]any{"iss": "https://evil.test"})), "k8s-a", "invalid_grant"},
		"not a token":                       {"x.y.z", "k8s-a", "invalid_grant"},
	} {
		if got := try(tc.token, tc.audience); got.Error != tc.want {
			t.Errorf("%s: %s, want %s", name, got.Raw, tc.want)
		}
	}
	if len(w.events(t, audit.MachineRefused)) != 2 {
		t.Errorf("events %+v", w.events(t, audit.MachineRefused))
	}
	// The plugin knows the cluster's id only, and names its page.
	byPage := func(resource string) relyingparty.Tokens {
		return w.plugin.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "resource": {resource},
			"subject_token": {signJWT(t, key, claims(nil))}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
	}
	if got := byPage(w.plugin.Issuer + "/clusters/a"); got.Error != "" || relyingparty.Claims(t, got.AccessToken)["aud"] != "k8s-a" {
		t.Errorf("%s", got.Raw)
	}
	for _, resource := range []string{"/clusters/nope", "/clusters/", "/clusters/a/..", "/clusters/a?x=y", "/clusters/c"} {
		if got := byPage(w.plugin.Issuer + resource); got.Error != "invalid_target" {
			t.Errorf("%s: %s", resource, got.Raw)
		}
	}
	uses, err := w.store.LastUses(t.Context())
	if err != nil || uses[store.RuleUse("deploy")].IsZero() || uses[store.RuleUse("check")].IsZero() {
		t.Errorf("uses %v, error %v", uses, err)
	}
	// An admin switches the machine off.
	user, err := w.store.UserByName(t.Context(), "machine:deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetUserDisabled(t.Context(), user.ID, true, now); err != nil {
		t.Fatal(err)
	}
	if got := try(signJWT(t, key, claims(nil)), "k8s-a"); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "disabled") {
		t.Errorf("disabled: %s", got.Raw)
	}
}

// inbox is a relying party that is told of sign-outs.
type inbox struct {
	mu     sync.Mutex
	tokens []string
	status int
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.status != 0 {
		w.WriteHeader(i.status)
		return
	}
	i.tokens = append(i.tokens, r.PostFormValue("logout_token"))
}

func (i *inbox) set(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

func (i *inbox) got() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tokens
}

func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := &world{upstream: mock.NewUpstream(), clock: &clock{at: time.Now()}, store: s}
		w.upstream.Set(jane("dev"))
		box := &inbox{}
		srv := httptest.NewServer(box)
		t.Cleanup(srv.Close)
		w.settings = applySettings(t, s, w.clock.now())
		w.settings.Clients[0].LogoutURI = srv.URL
		apply(t, s, w.settings, w.clock.now())
		w.serve(t, s)
		w.plugin = &relyingparty.Client{Issuer: w.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback", Scope: "openid offline_access"}
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		page := b.SignIn(w.issuer+"/authorize?"+url.Values{
			"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"},
		}.Encode(), asJane())
		tokens := w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
		})
		id := relyingparty.Claims(t, tokens.IDToken)
		deliver := func() {
			t.Helper()
			if err := w.provider.Notifier().Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		// 1. The same person signs in again: nobody is told that they are gone.
		b.SignIn(w.plugin.AuthURL(strings.Repeat("a", 43), url.Values{"prompt": {"login"}}), asJane())
		deliver()
		if len(box.got()) != 0 {
			t.Fatal("told of a sign-in that goes on")
		}

		// 2. The client is away at first. It is told later, under the sid it knows.
		box.set(http.StatusServiceUnavailable)
		b.Post(w.issuer+"/sign-out", url.Values{})
		deliver()
		box.set(0)
		deliver()
		if len(box.got()) != 0 {
			t.Fatal("tried again without a pause")
		}
		w.clock.add(6 * time.Second)
		deliver()
		w.clock.add(time.Hour)
		deliver()
		if len(box.got()) != 1 {
			t.Fatalf("told %d times, want once", len(box.got()))
		}
		claims := relyingparty.Claims(t, box.got()[0])
		want := map[string]any{
			"iss": w.issuer, "aud": "grafana", "sub": id["sub"], "sid": id["sid"],
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		for name, value := range want {
			if !cmp.Equal(claims[name], value) {
				t.Errorf("%s = %v, want %v", name, claims[name], value)
			}
		}
		if claims["nonce"] != nil || claims["jti"] == nil {
			t.Errorf("claims %v", claims)
		}
		if len(w.events(t, audit.ClientNotNotified)) != 1 || len(w.events(t, audit.ClientNotified)) != 1 {
			t.Error("not audited")
		}
		// 3. The token that hung on the sign-in is dead.
		if got := userInfo(t, w.issuer, tokens.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("the access token still works: %d", got)
		}
	})
}

func userInfo(t *testing.T, issuer, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/userinfo", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestDisablingAPersonEndsEverythingAtOnce is on two replicas.
func TestDisablingAPersonEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	w := setup(t, cfg, cfg)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	tokens := w.plugin.SignIn(t, b, asJane())
	user, err := w.store.UserByName(t.Context(), "corp:jane")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetUserDisabled(t.Context(), user.ID, true, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	for _, replica := range w.replicas {
		c := &relyingparty.Client{Issuer: replica, ID: "kubectl-fairlead"}
		if got := c.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("refresh: %s", got.Raw)
		}
		if got := c.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
			t.Errorf("exchange: %s", got.Raw)
		}
		if got := userInfo(t, replica, tokens.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("userinfo: %d", got)
		}
	}
	if p := b.Get(w.plugin.AuthURL(strings.Repeat("a", 43), url.Values{"prompt": {"none"}})); p.Left.Query().Get("error") != "login_required" {
		t.Errorf("the browser is still signed in: %s", p)
	}
}

// TestSetupCodes signs a computer in with a code from a page, and tries to do more with it.
func TestSetupCodes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	maker := &setupcode.Maker{Store: w.store, Now: w.clock.now}
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	visit := func() *session.Current {
		t.Helper()
		tokens := w.plugin.SignIn(t, b, asJane())
		user, err := w.store.UserByName(ctx, fmt.Sprint(relyingparty.Claims(t, w.plugin.Exchange(t, tokens.AccessToken, "k8s-a").AccessToken)["preferred_username"]))
		if err != nil {
			t.Fatal(err)
		}
		signIns, err := w.store.SignIns(ctx, user.ID, w.clock.now())
		if err != nil || len(signIns) == 0 {
			t.Fatal(err, signIns)
		}
		return &session.Current{User: user, SignIn: &signIns[0]}
	}
	code := func() string {
		t.Helper()
		made, err := maker.Make(ctx, visit())
		if err != nil {
			t.Fatal(err)
		}
		return made.Reveal()
	}
	redeem := func(code string, more url.Values) relyingparty.Tokens {
		form := url.Values{"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}, "code": {code}, "fairlead_host": {"jump-host"}}
		maps.Copy(form, more)
		return w.plugin.Token(t, form)
	}
	good := code()
	got := redeem(good, nil)
	if got.Error != "" || got.RefreshToken == "" {
		t.Fatalf("%s", got.Raw)
	}
	if again := w.plugin.Refresh(t, got.RefreshToken); again.Error != "" {
		t.Errorf("%s", again.Raw)
	} else {
		got = again
	}
	// Whoever comes second ends what the first one got: one of them was a thief.
	if twice := redeem(good, nil); twice.Error != "invalid_grant" {
		t.Errorf("a second use: %s", twice.Raw)
	}
	if after := w.plugin.Refresh(t, got.RefreshToken); after.Error != "invalid_grant" {
		t.Errorf("after a second use: %s", after.Raw)
	}
	if len(w.events(t, audit.TokenReplayed)) == 0 {
		t.Error("a second use is not recorded")
	}
	for name, form := range map[string]url.Values{
		"as an authorization code":                {"grant_type": {"authorization_code"}, "code": {code()}},
		"as one, with what stands for an address": {"grant_type": {"authorization_code"}, "code": {code()}, "redirect_uri": {"urn:fairlead:setup-code"}},
		"as a device code":                        {"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code()}},
		"made up":                                 {"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}, "code": {"made-up"}},
		"none":                                    {"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}},
	} {
		if got := w.plugin.Token(t, form); got.Error != "invalid_grant" && got.Error != "invalid_request" || got.AccessToken != "" {
			t.Errorf("%s: %s", name, got.Raw)
		}
	}
	// An authorization code is no setup code.
	verifier, challenge := relyingparty.PKCE()
	ordinary := b.SignIn(w.plugin.AuthURL(challenge, nil), relyingparty.Credentials{}).Code(t)
	if got := redeem(ordinary, url.Values{"code_verifier": {verifier}, "redirect_uri": {w.plugin.RedirectURI}}); got.Error != "invalid_grant" {
		t.Errorf("an authorization code: %s", got.Raw)
	}
	// It ends with the browser's sign-in, with the account, and in five minutes.
	late := code()
	current := visit()
	if _, err := w.store.EndSignIn(ctx, current.User.ID, current.SignIn.ID, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	ended, err := maker.Make(ctx, current)
	if err != nil {
		t.Fatal(err)
	}
	if got := redeem(ended.Reveal(), nil); got.Error != "invalid_grant" {
		t.Errorf("after signing out: %s", got.Raw)
	}
	w.clock.add(5*time.Minute + time.Second)
	if got := redeem(late, nil); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "Copy a new one") {
		t.Errorf("late: %s", got.Raw)
	}
	disabled := code()
	if err := w.store.SetUserDisabled(ctx, current.User.ID, true, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	if got := redeem(disabled, nil); got.Error != "invalid_grant" {
		t.Errorf("disabled: %s", got.Raw)
	}
}
