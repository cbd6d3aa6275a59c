package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestEndSession covers RP-initiated logout. The server redirects only to a registered address, and only with a
// hint that it has signed. Without a hint it asks the user.
func TestEndSession(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const home = "https://grafana.test/bye"
	grafana := &relyingparty.Client{Issuer: w.issuer, ID: "grafana", RedirectURI: "https://grafana.test/cb?x=1", Scope: "openid"}
	signIn := func(b *relyingparty.Browser) string {
		verifier, challenge := relyingparty.PKCE()
		page := b.SignIn(grafana.AuthURL(challenge, nil), asJane())
		return grafana.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {grafana.RedirectURI}, "code_verifier": {verifier}, "client_secret": {"s3cret"},
		}).IDToken
	}
	stranger := signIn(relyingparty.NewBrowser(t, w.issuer, nil)) // the same user in another browser
	parts := strings.Split(stranger, ".")
	for name, c := range map[string]struct {
		params func(hint string) url.Values
		// want is the final page of the browser: an address, "out", "ask" or "error".
		want string
	}{
		"everything": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}, "state": {"s&=" + strings.Repeat("x", 120)}}
		}, home + "?state=s%26%3D" + strings.Repeat("x", 120)},
		"no state": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}}
		}, home},
		"no address": {func(hint string) url.Values { return url.Values{"id_token_hint": {hint}} }, "out"},
		"nothing":    {func(string) url.Values { return nil }, "ask"},
		"only state": {func(string) url.Values { return url.Values{"state": {"s"}} }, "ask"},
		"no hint":    {func(string) url.Values { return url.Values{"post_logout_redirect_uri": {home}} }, "error"},
		"unregistered": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.test/"}}
		}, "error"},
		"query added": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home + "?foo=bar"}}
		}, "error"},
		"unsigned hint": {func(string) url.Values {
			return url.Values{"id_token_hint": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}, "post_logout_redirect_uri": {home}}
		}, "error"},
		"client without hint": {func(string) url.Values {
			return url.Values{"client_id": {"grafana"}, "post_logout_redirect_uri": {home}, "state": {"s"}}
		}, "ask"},
		"client without hint, unregistered": {func(string) url.Values {
			return url.Values{"client_id": {"grafana"}, "post_logout_redirect_uri": {"https://evil.test/"}}
		}, "error"},
		"unknown client": {func(string) url.Values {
			return url.Values{"client_id": {"nobody"}, "post_logout_redirect_uri": {home}}
		}, "error"},
		"hint of a key that is gone": {func(string) url.Values {
			return url.Values{"id_token_hint": {parts[0] + "." + parts[1] + ".AAAA"}, "post_logout_redirect_uri": {home}, "state": {"s"}}
		}, "ask"},
		"changed hint":    {func(hint string) url.Values { return url.Values{"id_token_hint": {hint + "x"}} }, "ask"},
		"another sign-in": {func(string) url.Values { return url.Values{"id_token_hint": {stranger}} }, "ask"},
		"another client":  {func(hint string) url.Values { return url.Values{"id_token_hint": {hint}, "client_id": {"k8s-a"}} }, "error"},
		"address sent twice": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home, "https://evil.test/"}}
		}, "error"},
	} {
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		page := b.Get(w.issuer + "/end-session?" + c.params(signIn(b)).Encode())
		got := "error"
		switch {
		case page.RedirectedTo != nil:
			got = page.RedirectedTo.String()
		case strings.Contains(page.Text, "You are signed out"):
			got = "out"
		case strings.Contains(page.Text, "Sign out of this browser?"):
			got = "ask"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got == "ask" && c.params("").Get("post_logout_redirect_uri") != "" {
			if page = b.Submit(page, nil); page.RedirectedTo == nil || page.RedirectedTo.String() != home+"?state=s" {
				t.Errorf("%s: after the confirmation to %s", name, page)
			}
		}
		// Only this request ends the session.
		silent := b.Get(grafana.AuthURL("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", url.Values{"prompt": {"none"}}))
		if over := silent.RedirectedTo.Query().Get("error") == "login_required"; over != (got == "out" || page.RedirectedTo != nil) {
			t.Errorf("%s: signed out %v", name, over)
		}
	}
}

// logoutReceiver is a relying party that receives logout tokens.
type logoutReceiver struct {
	mu     sync.Mutex
	tokens []string
	status int
}

func (i *logoutReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.status != 0 {
		w.WriteHeader(i.status)
		return
	}
	i.tokens = append(i.tokens, r.PostFormValue("logout_token"))
}

func (i *logoutReceiver) set(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

func (i *logoutReceiver) got() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tokens
}

func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := &testServer{upstream: mock.NewUpstream(), clock: &clock{at: time.Now()}, store: s}
		w.upstream.Set(jane("dev"))
		box := &logoutReceiver{}
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

		// 1. The same user signs in again: clients get no logout token.
		b.SignIn(w.plugin.AuthURL(strings.Repeat("a", 43), url.Values{"prompt": {"login"}}), asJane())
		deliver()
		if len(box.got()) != 0 {
			t.Fatal("told of a sign-in that goes on")
		}

		// 2. The client is down at first. It gets the logout token later, with the sid that it knows.
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
		// 3. The token of the session is revoked.
		if got := userInfo(t, w.issuer, tokens.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("the access token still works: %d", got)
		}
	})
}
