package conformance_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// signedIn reports whether the browser still is.
func (o *provider) signedIn(t *testing.T, b *relyingparty.Browser) bool {
	t.Helper()
	got := o.checkCallback(t, b.Get(o.request(t, o.Second, url.Values{"prompt": {"none"}})), o.Second)
	if code := got.Get("error"); code != "" && code != "login_required" {
		t.Errorf("answer %v", got)
	}
	return got.Get("code") != ""
}

func (o *provider) endSession(t *testing.T, q url.Values) string {
	t.Helper()
	return o.endpoint(t, "end_session_endpoint") + "?" + q.Encode()
}

func TestLogout(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-rp-initiated-logout", "OpenID Connect RP-Initiated Logout section 2 and 3")
	state := strings.Repeat("aZ9-._~", 19)[:128]
	for name, tc := range map[string]struct {
		state string
		post  bool
	}{"with a state": {state, false}, "without (rp-initiated-logout-no-state)": {"", false}, "by POST": {state, true}} {
		b := o.browser(t)
		tokens := o.signIn(t, b, o.First, nil)
		q := url.Values{"id_token_hint": {tokens.text("id_token")}, "post_logout_redirect_uri": {o.First.PostLogout}}
		if tc.state != "" {
			q.Set("state", tc.state)
		}
		thief := b.Clone()
		if !o.signedIn(t, thief) {
			t.Fatal("the copied cookies do not work")
		}
		var page *relyingparty.Page
		if tc.post {
			page = b.Post(o.endpoint(t, "end_session_endpoint"), q)
		} else {
			page = b.Get(o.endSession(t, q))
		}
		want := o.First.PostLogout
		if tc.state != "" {
			want += "?state=" + url.QueryEscape(tc.state)
		}
		if page.RedirectedTo == nil || page.RedirectedTo.String() != want {
			t.Errorf("%s: %s, want %s", name, page, want)
		}
		if o.signedIn(t, b) || o.signedIn(t, thief) {
			t.Errorf("%s: still signed in", name)
		}
	}
}

// TestLogoutNeverRedirects to an address that is not proved to be the client's.
func TestLogoutNeverRedirects(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri, -query-added-…, -bad-id-token-hint, -modified-id-token-hint, -no-id-token-hint",
		"OpenID Connect RP-Initiated Logout section 2")
	b := o.browser(t)
	hint := o.signIn(t, b, o.First, nil).text("id_token")
	pieces := strings.Split(hint, ".")
	stranger := o.foreignToken(t, decodePart(t, hint, 1))
	for name, q := range map[string]url.Values{
		"unregistered":      {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.test/bye"}},
		"query added":       {"id_token_hint": {hint}, "post_logout_redirect_uri": {o.First.PostLogout + "?foo=bar"}},
		"unsigned hint":     {"id_token_hint": {"eyJhbGciOiJub25lIn0." + pieces[1] + "."}, "post_logout_redirect_uri": {o.First.PostLogout}},
		"a stranger's hint": {"id_token_hint": {stranger}, "post_logout_redirect_uri": {o.First.PostLogout}},
		"no hint":           {"post_logout_redirect_uri": {o.First.PostLogout}},
		"another client":    {"id_token_hint": {hint}, "client_id": {o.Second.ID}, "post_logout_redirect_uri": {o.First.PostLogout}},
	} {
		if page := b.Get(o.endSession(t, q)); page.RedirectedTo != nil {
			t.Errorf("%s: %s", name, page)
		}
		if !o.signedIn(t, b) {
			t.Errorf("%s: signed out without a proof", name)
			o.signIn(t, b, o.First, nil)
		}
	}
}

func (o *provider) foreignToken(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte("0123456789abcdef0123456789abcdef")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLogoutAsks(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-rp-initiated-logout-no-params, -only-state, -no-post-logout-redirect-uri", "OpenID Connect RP-Initiated Logout section 6")
	for name, q := range map[string]url.Values{"no parameters": {}, "only a state": {"state": {"s"}}} {
		b := o.browser(t)
		o.signIn(t, b, o.First, nil)
		page := b.Get(o.endSession(t, q))
		if page.RedirectedTo != nil || page.Status != http.StatusOK {
			t.Fatalf("%s: %s", name, page)
		}
		// Nothing proves that the person wants it: they are asked.
		if page := b.Submit(page, nil); page.Status != http.StatusOK || o.signedIn(t, b) {
			t.Errorf("%s: still signed in after %s", name, page)
		}
	}
	b := o.browser(t)
	hint := o.signIn(t, b, o.First, nil).text("id_token")
	if page := b.Get(o.endSession(t, url.Values{"id_token_hint": {hint}})); page.RedirectedTo != nil || page.Status != http.StatusOK || o.signedIn(t, b) {
		t.Errorf("with a hint alone: %s", page)
	}
}

// logoutReceiver collects logout tokens for the whole suite.
type logoutReceiver struct {
	mu     sync.Mutex
	tokens []url.Values
}

func (o *provider) receiveLogouts(t *testing.T) *logoutReceiver {
	t.Helper()
	if o.LogoutListen == "" {
		t.Skip("the plan names no logoutListen")
	}
	box := &logoutReceiver{}
	ln, err := net.Listen("tcp", o.LogoutListen)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ParseForm() == nil {
			box.mu.Lock()
			defer box.mu.Unlock()
			box.tokens = append(box.tokens, r.PostForm)
		}
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return box
}

// tokenFor returns what was told of a sign-in.
func (b *logoutReceiver) tokenFor(t *testing.T, sid any) url.Values {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, form := range b.tokens {
		if decodePart(t, form.Get("logout_token"), 1)["sid"] == sid {
			return form
		}
	}
	return nil
}

func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-backchannel-rp-initiated-logout", "OpenID Connect Back-Channel Logout section 2")
	box := o.receiveLogouts(t)
	b := o.browser(t)
	tokens := o.signIn(t, b, o.First, nil)
	id := decodePart(t, tokens.text("id_token"), 1)
	page := b.Get(o.endSession(t, url.Values{"id_token_hint": {tokens.text("id_token")}, "post_logout_redirect_uri": {o.First.PostLogout}}))
	if page.RedirectedTo == nil || o.signedIn(t, b) {
		t.Errorf("logout: %s", page)
	}
	var form url.Values
	for deadline := time.Now().Add(15 * time.Second); form == nil && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		form = box.tokenFor(t, id["sid"])
	}
	if form == nil {
		t.Fatal("nobody was told")
	}
	if len(form) != 1 {
		t.Errorf("form %v, want only logout_token", form)
	}
	raw := form.Get("logout_token")
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	set := o.keySet(t)
	keys := set.Key(token.Headers[0].KeyID)
	claims := map[string]any{}
	if len(keys) != 1 {
		t.Fatalf("kid %q", token.Headers[0].KeyID)
	}
	if err := token.Claims(keys[0].Key, &claims); err != nil {
		t.Fatal(err)
	}
	events, _ := claims["events"].(map[string]any)
	empty, isObject := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	if len(events) != 1 || !isObject || len(empty) != 0 {
		t.Errorf("events %v", claims["events"])
	}
	if claims["iss"] != o.Issuer || claims["aud"] != o.First.ID || claims["sub"] != id["sub"] || claims["jti"] == nil || claims["nonce"] != nil ||
		time.Since(timeClaim(claims, "iat")).Abs() > 5*time.Minute || claims["exp"] == nil {
		t.Errorf("claims %v", claims)
	}
	if header := decodePart(t, raw, 0); header["typ"] != "logout+jwt" {
		t.Errorf("typ %v", header["typ"])
	}
}
