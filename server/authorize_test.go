package server_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestOneSignInServesEveryClient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	first := w.plugin.SignIn(t, b, asJane())
	asked := w.upstream.Calls()
	// A cluster is a public client of its own, so the user only confirms.
	cluster := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a", RedirectURI: "http://localhost:8000", Scope: "openid offline_access"}
	second := cluster.SignIn(t, b, relyingparty.Credentials{})
	// A confidential client needs no confirmation.
	page := b.Get(w.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"}, "prompt": {"none"},
	}.Encode())
	third := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"},
		"client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	if w.upstream.Calls() != asked {
		t.Error("the upstream was asked again")
	}
	sid := relyingparty.Claims(t, first.IDToken)["sid"]
	for name, tokens := range map[string]relyingparty.Tokens{"cluster": second, "grafana": third} {
		if claims := relyingparty.Claims(t, tokens.IDToken); claims["sid"] != sid || sid == "" {
			t.Errorf("%s: sid %v, want %v", name, claims["sid"], sid)
		}
	}
	claims := relyingparty.Claims(t, second.IDToken)
	if claims["aud"] != "k8s-a" || claims["azp"] != nil || claims["preferred_username"] != "corp:jane" {
		t.Errorf("cluster claims %v", claims)
	}
}

func TestAuthorizationRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, challenge := relyingparty.PKCE()
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	// The server must not redirect: it can trust neither address.
	for name, more := range map[string]url.Values{
		"unknown client":      {"client_id": {"nobody"}},
		"no client":           {"client_id": {""}},
		"foreign redirect":    {"redirect_uri": {"https://evil.test/cb"}},
		"no redirect":         {"redirect_uri": {""}},
		"other loopback path": {"redirect_uri": {"http://127.0.0.1:4711/other"}},
		"redirect twice":      {"redirect_uri": {w.plugin.RedirectURI, "https://evil.test/"}},
		"client twice":        {"client_id": {"kubectl-fairlead", "grafana"}},
	} {
		if page := b.Get(w.plugin.AuthURL(challenge, more)); page.RedirectedTo != nil || page.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, page)
		}
	}
	for name, c := range map[string]struct {
		more url.Values
		want string
	}{
		"no response type":  {url.Values{"response_type": {""}}, "unsupported_response_type"},
		"implicit":          {url.Values{"response_type": {"id_token"}}, "unsupported_response_type"},
		"hybrid":            {url.Values{"response_type": {"code id_token"}}, "unsupported_response_type"},
		"no PKCE":           {url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "invalid_request"},
		"plain PKCE":        {url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		"method missing":    {url.Values{"code_challenge_method": {""}}, "invalid_request"},
		"broken challenge":  {url.Values{"code_challenge": {"short"}}, "invalid_request"},
		"request object":    {url.Values{"request": {"x"}}, "request_not_supported"},
		"request uri":       {url.Values{"request_uri": {"https://x"}}, "request_uri_not_supported"},
		"registration":      {url.Values{"registration": {"{}"}}, "registration_not_supported"},
		"no openid":         {url.Values{"scope": {"profile"}}, "invalid_scope"},
		"fragment mode":     {url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		"prompt none":       {url.Values{"prompt": {"none"}}, "login_required"},
		"prompt none login": {url.Values{"prompt": {"none login"}}, "invalid_request"},
		"unknown prompt":    {url.Values{"prompt": {"dance"}}, "invalid_request"},
		"bad max_age":       {url.Values{"max_age": {"-1"}}, "invalid_request"},
		"scope twice":       {url.Values{"scope": {"openid", "profile"}}, "invalid_request"},
		"huge nonce":        {url.Values{"nonce": {strings.Repeat("n", 600)}}, "invalid_request"},
	} {
		page := b.Get(w.plugin.AuthURL(challenge, c.more))
		if page.RedirectedTo == nil {
			t.Errorf("%s: %v", name, page)
			continue
		}
		q := page.RedirectedTo.Query()
		if q.Get("error") != c.want || q.Get("state") != "state-1" || q.Get("iss") != w.issuer || q.Get("code") != "" {
			t.Errorf("%s: %s, want %s", name, page.RedirectedTo, c.want)
		}
		if page.RedirectedTo.Host != "127.0.0.1:4711" || page.Status != http.StatusSeeOther {
			t.Errorf("%s: %v", name, page)
		}
	}
}

func TestPromptAndMaxAge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	authTime := func(more url.Values, as relyingparty.Credentials) any {
		t.Helper()
		verifier, challenge := relyingparty.PKCE()
		page := b.SignIn(w.plugin.AuthURL(challenge, more), as)
		tokens := w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		})
		return relyingparty.Claims(t, tokens.IDToken)["auth_time"]
	}
	first := authTime(nil, asJane())
	w.clock.add(10 * time.Second)
	if got := authTime(url.Values{"max_age": {"10000"}}, relyingparty.Credentials{}); got != first {
		t.Errorf("max_age large: auth_time %v, want %v", got, first)
	}
	second := authTime(url.Values{"max_age": {"1"}}, asJane())
	if second == first {
		t.Error("max_age small: nobody was asked")
	}
	w.clock.add(10 * time.Second)
	if got := authTime(url.Values{"prompt": {"login"}}, asJane()); got == second {
		t.Error("prompt=login: nobody was asked")
	}
}

// TestWhomTheClientMeans covers id_token_hint and the sub of the claims parameter.
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
		"an unsigned hint, silently":    {url.Values{"prompt": {"none"}, "id_token_hint": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}}, "login_required"},
		"an unreadable hint, silently":  {url.Values{"prompt": {"none"}, "id_token_hint": {"x"}}, "login_required"},
		"claims that can't be read":     {url.Values{"claims": {"{"}}, "invalid_request"},
		"a class that nobody can reach": {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["x"]}}}`}}, "unmet_authentication_requirements"},
		"two people at once":            {url.Values{"id_token_hint": {hers.IDToken}, "claims": {`{"id_token":{"sub":{"value":"` + sub + `"}}}`}}, "invalid_request"},
	} {
		if got := b.Get(request(tc.more)); got.RedirectedTo == nil || got.RedirectedTo.Query().Get("error") != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	// Without prompt=none, an unreadable hint changes nothing.
	b.Get(request(url.Values{"id_token_hint": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}})).Code(t)
	// Requested values may be of any JSON type.
	b.Get(request(url.Values{"claims": {`{"userinfo":{"email_verified":{"value":true},"x":{"values":[1,{"a":null}]}},"id_token":{"auth_time":{"essential":true},"acr":{"value":1}}}`}})).Code(t)
	// If pages are allowed the requested user can sign in, once.
	p := b.SignIn(request(url.Values{"id_token_hint": {his.IDToken}}), asJane())
	if p.RedirectedTo == nil || p.RedirectedTo.Query().Get("error") != "login_required" {
		t.Errorf("signed in as the wrong person again: %s", p)
	}
	b.SignIn(request(url.Values{"id_token_hint": {his.IDToken}}), relyingparty.Credentials{Connector: "Corp", Username: "john", Password: "right"}).Code(t)
	// The claims parameter adds the scopes of its claims.
	code := b.Get(request(url.Values{"claims": {`{"userinfo":{"name":{"essential":true},"email":null}}`}})).Code(t)
	tokens := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	if tokens.Scope != "openid profile email" && tokens.Scope != "openid email profile" {
		t.Errorf("scope %q", tokens.Scope)
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
	if got := b.Get(request(silent)); got.RedirectedTo.Query().Get("error") != "consent_required" {
		t.Fatalf("silent before consent: %s", got)
	}
	// A denial goes back to the client.
	if got := b.Submit(b.Get(request(nil)), map[string]string{"answer": "no"}); got.RedirectedTo.Query().Get("error") != "access_denied" {
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
	if got := b.Get(request(url.Values{"prompt": {"none"}, "scope": {"openid email groups"}})); got.RedirectedTo.Query().Get("error") != "consent_required" {
		t.Errorf("more than was allowed: %s", got)
	}
	if got := b.Get(request(url.Values{"prompt": {"consent"}})); got.RedirectedTo != nil {
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

// FuzzAuthorize sends random requests. None may redirect to an unregistered address or cause an internal error.
func FuzzAuthorize(f *testing.F) {
	f.Add("client_id=kubectl-fairlead&redirect_uri=http://127.0.0.1:1/callback&response_type=code&scope=openid&code_challenge=x&code_challenge_method=S256")
	f.Add("client_id=grafana&redirect_uri=https://grafana.test/cb?x=1&response_type=code&scope=openid&prompt=none&max_age=1")
	f.Add("client_id=k8s-a&redirect_uri=http://localhost:8000&response_type=code&request=x&state=%00%ff")
	f.Add("client_id=grafana&client_id=k8s-a&redirect_uri=//evil.test")
	f.Add("client_id=grafana&redirect_uri=https://grafana.test/cb?x=1&response_type=code&scope=openid&response_mode=form_post&claims={\"id_token\":{\"sub\":{\"value\":\"x\"}}}")
	f.Add("client_id=wiki&redirect_uri=https://wiki.test/cb&response_type=code&scope=openid&id_token_hint=a.b.c&ui_locales=de&acr_values=1&prompt=none")
	handler := fuzzHandler(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%q: %d", query, w.Code)
		}
		location := w.Header().Get("Location")
		if location == "" {
			return
		}
		u, err := url.Parse(location)
		if err != nil {
			t.Fatalf("%q led to %q", query, location)
		}
		if host := u.Hostname(); host != "" && host != "127.0.0.1" && host != "localhost" && host != "::1" && host != "grafana.test" && host != "wiki.test" {
			t.Errorf("%q led to %q", query, location)
		}
		if u.Query().Get("code") != "" {
			t.Errorf("%q got a code from nobody: %q", query, location)
		}
	})
}

func fuzzHandler(f *testing.F) http.Handler {
	f.Helper()
	s := storetest.SQLite(f)
	applySettings(f, s, time.Now())
	logger := slog.New(slog.DiscardHandler)
	provider, err := server.New(f.Context(), server.Config{
		URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Store: s, Keyring: storetest.Keyring(f), Audit: audit.NewLog(time.Now, logger), Logger: logger,
		Now: time.Now, Types: map[string]connectors.Type{"mock": mock.Type(mock.NewUpstream())}, RuntimeSettings: runtimesettings.New(runtimesettings.Values{Brand: "Test"}), RequestsPerSecond: 1_000_000,
	})
	if err != nil {
		f.Fatal(err)
	}
	handler, err := provider.Echo()
	if err != nil {
		f.Fatal(err)
	}
	return handler
}
