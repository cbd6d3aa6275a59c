package server_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// setupWithConnector returns a provider with one connector of a real type. It asks the upstream each time.
func setupWithConnector(t *testing.T, kind string, config map[string]any, transport http.RoundTripper) *testServer {
	t.Helper()
	return serveConnector(t, &testServer{clock: &clock{at: time.Now()}, maxAge: -1, transport: transport}, kind, config)
}

// serveConnector serves with one connector of a real type.
func serveConnector(t *testing.T, w *testServer, kind string, config map[string]any) *testServer {
	t.Helper()
	w.store, w.types = storetest.SQLite(t), all.Types(password.NewHasher())
	file := store.Origin{Origin: store.OriginFile}
	apply(t, w.store, store.Settings{
		Connectors: []store.Connector{{Enabled: true, ID: "up", Type: kind, Name: "Up", UserPrefix: "up:", GroupPrefix: "up:", Origin: file, Config: asJSON(t, config)}},
		Clusters:   []store.Cluster{{ID: "a", Audience: "k8s-a", Algorithm: "ES256", TokenSeconds: 600, Server: "https://a.test", Origin: file}},
		Rules:      []store.AccessRule{{ID: "r", GroupNames: store.Strings{"up:platform", "up:acme/platform", "up:acme:platform", "up:acme"}, ClusterIDs: store.Strings{"a"}, Origin: file}},
	}, w.clock.now())
	w.serve(t, w.store)
	w.plugin = &relyingparty.Client{Issuer: w.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback", Scope: "openid groups offline_access"}
	return w
}

// forgeTransport is a fake forge whose callback URL is known only after the provider has started.
type forgeTransport struct{ forge *fakeforge.Server }

// RoundTrip implements http.RoundTripper.
func (l *forgeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "bitbucket.org" || r.URL.Hostname() == "api.bitbucket.org" {
		return l.forge.Transport().RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestEveryForgeSignsInAndRefreshes: a browser signs in, tokens are renewed, and the renewal of a user who was
// removed upstream is denied.
func TestEveryForgeSignsInAndRefreshes(t *testing.T) {
	t.Parallel()
	credentials := func(more map[string]any) map[string]any {
		more["clientID"], more["clientSecret"] = fakeforge.ClientID, fakeforge.ClientSecret
		return more
	}
	for kind, config := range map[string]func(base string) map[string]any{
		"gitlab": func(base string) map[string]any { return credentials(map[string]any{"baseURL": base}) },
		"gitea":  func(base string) map[string]any { return credentials(map[string]any{"baseURL": base}) },
		"microsoft": func(base string) map[string]any {
			return credentials(map[string]any{"tenant": "contoso", "apiURL": base, "graphURL": base, "preferredUsernameField": "mailNickname"})
		},
		"openshift": func(base string) map[string]any { return credentials(map[string]any{"issuer": base}) },
		"bitbucket": func(string) map[string]any { return credentials(map[string]any{"teams": []string{"acme"}}) },
		"oauth": func(base string) map[string]any {
			return credentials(map[string]any{"authorizationURL": base + "/authorize", "tokenURL": base + "/token", "userInfoURL": base + "/userinfo"})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			forge := fakeforge.Start(t, "")
			detour := &forgeTransport{forge}
			w := setupWithConnector(t, kind, config(forge.URL), detour)
			forge.Register(w.issuer + "/callback/up")
			u, err := url.Parse(forge.URL)
			if err != nil {
				t.Fatal(err)
			}
			browser := relyingparty.NewBrowser(t, w.issuer, detour)
			browser.AlsoFollow = u.Host
			if kind == "bitbucket" {
				browser.AlsoFollow = "bitbucket.org"
			}
			tokens := w.plugin.SignIn(t, browser, relyingparty.Credentials{})
			again := w.plugin.Refresh(t, tokens.RefreshToken)
			if again.Status != http.StatusOK {
				t.Fatalf("refresh: %s", again.Raw)
			}
			forge.Leave()
			last := w.plugin.Refresh(t, again.RefreshToken)
			if last.Status == http.StatusOK {
				t.Errorf("after leaving: %s", last.Raw)
			}
		})
	}
}

// TestSAMLSignsIn follows the browser: it posts a form to the identity provider, gets the response from the other
// site without cookies, and posts the same response again from this site.
func TestSAMLSignsIn(t *testing.T) {
	t.Parallel()
	idp := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	w := setupWithConnector(t, "saml", map[string]any{
		"ssoURL": "https://idp.example.test/sso", "ssoIssuer": fakesaml.Issuer, "certificates": idp.Certificate(), "usernameAttr": "name", "emailAttr": "email", "groupsAttr": "groups",
	}, nil)
	acs := w.issuer + "/callback/up"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page := document(t, browser, "GET", w.issuer+"/login/up", nil)
	if action, _ := page.Find("form").Attr("action"); action != "https://idp.example.test/sso" {
		t.Fatalf("the form goes to %q", action)
	}
	relay, request := field(page, "RelayState"), field(page, "SAMLRequest")
	if len(relay) > 80 {
		t.Errorf("a relay state of %d bytes", len(relay))
	}
	said := fakesaml.Jane(fakesaml.RequestID(t, request), acs, time.Now())
	answer := url.Values{"RelayState": {relay}, "SAMLResponse": {fakesaml.Encode(t, said.Response(idp.Sign(t, said.Assertion("_a"))))}}
	// A form from the identity provider's site carries no cookies.
	posted := document(t, &http.Client{}, "POST", acs, answer)
	onward, _ := posted.Find("form").Attr("action")
	if onward != "/callback/up/answer" || field(posted, "SAMLResponse") != answer.Get("SAMLResponse") {
		t.Fatalf("the answer goes on to %q", onward)
	}
	// The response is worthless in another browser.
	if res := post(t, &http.Client{}, w.issuer+onward, answer); res.StatusCode != http.StatusBadRequest {
		t.Errorf("in another browser: %s", res.Status)
	}
	if res := post(t, browser, w.issuer+onward, answer); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("in the browser that asked: %s", res.Status)
	}
	if user, err := w.store.UserByName(t.Context(), "up:jane"); err != nil || strings.Join(user.GroupNames, " ") != "up:developers up:platform" {
		t.Errorf("%+v %v", user, err)
	}
	if res := post(t, browser, w.issuer+onward, answer); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time: %s", res.Status)
	}
	if res := post(t, &http.Client{}, acs, url.Values{"RelayState": {"<script>"}, "SAMLResponse": {"x"}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a relay state that is none: %s", res.Status)
	}
}

// TestSAMLMetadata reads our metadata as an identity provider does, before and after the connector is enabled.
func TestSAMLMetadata(t *testing.T) {
	t.Parallel()
	w := setupWithConnector(t, "saml", map[string]any{"ssoURL": "https://idp.example.test/sso", "ssoIssuer": fakesaml.Issuer, "usernameAttr": "name"}, nil)
	read := func(id string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/callback/"+id+"/metadata", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for _, enabled := range []bool{true, false} {
		apply(t, w.store, store.Settings{Connectors: []store.Connector{
			{Enabled: enabled, ID: "up", Type: "saml", Name: "Up", Config: `{"usernameAttr":"name"}`, Origin: store.Origin{Origin: store.OriginFile}},
			{Enabled: true, ID: "local", Type: "local", Name: "Local", UserPrefix: "l:", Config: "{}", Origin: store.Origin{Origin: store.OriginFile}},
		}}, w.clock.now())
		res, body := read("up")
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/samlmetadata+xml" || !strings.Contains(body, `entityID="`+w.issuer+`/callback/up"`) {
			t.Errorf("enabled = %v: %s %s\n%s", enabled, res.Status, res.Header.Get("Content-Type"), body)
		}
	}
	for _, id := range []string{"local", "unknown"} {
		if res, _ := read(id); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", id, res.Status)
		}
	}
}

func field(page *goquery.Document, name string) string {
	value, _ := page.Find(`input[name="` + name + `"]`).Attr("value")
	return value
}

func post(t *testing.T, client *http.Client, address string, form url.Values) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Jar == nil {
		req.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

func document(t *testing.T, client *http.Client, method, address string, form url.Values) *goquery.Document {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := goquery.NewDocumentFromReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page
}
