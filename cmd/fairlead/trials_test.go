package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/test/fakes/fakecrowd"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
	"github.com/fairlead-auth/fairlead/test/fakes/fakekeystone"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/harness/forwardproxy"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// proxy redirects connections to fake upstreams in place of those with a fixed address.
var proxy forwardproxy.Proxy

func TestMain(m *testing.M) { os.Exit(forwardproxy.Run(m, &proxy)) }

// desk is an admin's browser. Requests to Fairlead stay in this process.
type desk struct {
	s      *station
	cookie string
	// front adds the headers of a reverse proxy.
	front http.Header
}

// RoundTrip implements http.RoundTripper.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != d.s.cfg.url.Host {
		return http.DefaultTransport.RoundTrip(r)
	}
	inside := r.Clone(r.Context())
	inside.RequestURI, inside.Host, inside.RemoteAddr = r.URL.RequestURI(), r.URL.Host, "192.0.2.1:1"
	inside.AddCookie(&http.Cookie{Name: "fairlead", Value: d.cookie})
	if inside.Body == nil {
		inside.Body = http.NoBody
	}
	maps.Copy(inside.Header, d.front)
	w := httptest.NewRecorder()
	d.s.router.ServeHTTP(w, inside)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// trial is a connector to enter in its page and test there.
type trial struct {
	// fields are its settings, including secrets.
	fields map[string]string
	// site is the host of the upstream.
	site string
	// want is the text that the page must show about jane.
	want []string
	// wrong are broken settings, and fault is the text that the page must show about them.
	wrong map[string]string
	fault string
}

const frontSecret = "0123456789abcdef0123456789abcdef"

func redirectTrials(t *testing.T, callback string) map[string]trial {
	t.Helper()
	trials := map[string]trial{}
	add := func(kind, site string, fields map[string]string, want ...string) {
		fields["clientID"], fields["clientSecret"] = fakeforge.ClientID, fakeforge.ClientSecret
		trials[kind] = trial{
			fields: fields, site: site, want: append(want, "jane@example.test"), wrong: map[string]string{"clientSecret": "wrong"}, fault: "invalid_client",
		}
	}
	forge := func(hosts ...string) (address, host string) {
		s := fakeforge.Start(t, callback)
		proxy.Lead(s.Config.Handler, hosts...)
		return s.URL, strings.TrimPrefix(s.URL, "http://")
	}
	address, host := forge()
	add("gitlab", host, map[string]string{"baseURL": address}, "Jane Doe", "up:acme/platform")
	add("gitea", host, map[string]string{"baseURL": address}, "Jane Doe", "up:acme:platform")
	add("microsoft", host, map[string]string{"apiURL": address, "graphURL": address, "tenant": "contoso"}, "Jane Doe", "up:platform")
	add("oauth", host, map[string]string{"authorizationURL": address + "/authorize", "tokenURL": address + "/token", "userInfoURL": address + "/userinfo"}, "Jane Doe", "up:platform")
	forge("bitbucket.org", "api.bitbucket.org")
	add("bitbucket", "bitbucket.org", map[string]string{"teams": "acme"}, "up:acme")
	forge("www.linkedin.com", "api.linkedin.com")
	add("linkedin", "www.linkedin.com", map[string]string{}, "Jane Doe")
	openshift := trial{
		fields: map[string]string{"issuer": address, "clientID": fakeforge.ClientID, "clientSecret": fakeforge.ClientSecret}, site: host,
		want: []string{"jane", "up:platform"}, wrong: map[string]string{"clientSecret": "wrong"}, fault: "invalid_client",
	}
	trials["openshift"] = openshift

	google := fakeoidc.Start(t)
	google.Issuer, google.Domain = "https://accounts.google.com", "example.test"
	proxy.Lead(google.Config.Handler, "accounts.google.com")
	add("google", "accounts.google.com", map[string]string{"hostedDomains": "example.test"}, "Jane Doe")
	trials["google"].fields["clientSecret"] = fakeoidc.ClientSecret
	return trials
}

func otherTrials(t *testing.T) map[string]trial {
	t.Helper()
	crowd, keystone := fakecrowd.Start(t), fakekeystone.Start(t)
	idp, other := fakesaml.New(t, time.Now().AddDate(1, 0, 0)), fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	sso := httptest.NewServer(idp.Handler(t))
	t.Cleanup(sso.Close)
	return map[string]trial{
		"crowd": {
			fields: map[string]string{"baseURL": crowd.URL + "/crowd", "application": fakecrowd.Application, "password": fakecrowd.Password},
			want:   []string{"Jane Doe", "jane@example.test", "up:platform"}, wrong: map[string]string{"password": "wrong"}, fault: "refused the application",
		},
		"keystone": {
			fields: map[string]string{"host": keystone.URL, "domain": "default", "username": fakekeystone.Service, "password": fakekeystone.ServicesWord},
			want:   []string{"jane@example.test", "up:platform"}, wrong: map[string]string{"password": "wrong"}, fault: "refused the service user",
		},
		"saml": {
			fields: map[string]string{"ssoURL": sso.URL + "/sso", "ssoIssuer": fakesaml.Issuer, "certificates": idp.Certificate(), "usernameAttr": "name", "emailAttr": "email", "groupsAttr": "groups"},
			site:   strings.TrimPrefix(sso.URL, "http://"), want: []string{"jane@example.test", "up:platform"},
			wrong: map[string]string{"certificates": other.Certificate()}, fault: "a certificate that the connector does not have",
		},
		"authproxy": {
			fields: map[string]string{"proxySecret": frontSecret}, want: []string{"jane", "up:platform"},
			wrong: map[string]string{"proxySecret": "another-secret-of-32-characters!"}, fault: "did not come from the proxy",
		},
	}
}

// TestASignInIsTestedBeforeItIsSaved enters a connector in its page and runs a test sign-in. The page shows the
// user, and the server stores nothing. Tests in test/suites/e2e do the same with LDAP, GitHub and OpenID Connect.
func TestASignInIsTestedBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	trials := redirectTrials(t, "http://127.0.0.1:1/callback/up")
	maps.Copy(trials, otherTrials(t))
	for kind, one := range trials {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStation(t)
			root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
			browser := relyingparty.NewBrowser(t, s.cfg.url.String(), &desk{s: s, cookie: cookie, front: http.Header{
				"X-Fairlead-Proxy-Secret": {frontSecret}, "X-Remote-User": {"jane"}, "X-Remote-Group": {"acme,platform"},
			}})
			browser.AlsoFollow = one.site
			address := s.cfg.url.String() + "/admin/connectors/new?type=" + kind
			values := controls(browser.Get(address).Doc)
			for name, value := range map[string]string{"id": "up", "name": "Up", "do": "test"} {
				values.Set(name, value)
			}
			said := try(t, browser, address, values, one.fields)
			for _, want := range append(one.want, "The sign-in worked") {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in:\n%s", want, said)
				}
			}
			if said := try(t, browser, address, values, one.wrong); !strings.Contains(said, "The sign-in failed") || !strings.Contains(said, one.fault) {
				t.Errorf("with %s:\n%s", one.wrong, said)
			}
			if _, err := s.provider.Admin.Entry(t.Context(), admin.Caller{User: root}, settings.Connectors, "up"); err == nil {
				t.Error("the connector was saved")
			}
			if events := s.out.String(); strings.Contains(events, `"event":"sign_in.succeeded"`) || strings.Contains(events, fakeforge.ClientSecret) || strings.Contains(events, frontSecret) {
				t.Errorf("somebody was signed in, or a secret is in the log:\n%s", events)
			}
		})
	}
}

// TestALocalSignInIsTested: local users require a saved connector, so it is saved before the test.
func TestALocalSignInIsTested(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	hash, err := password.NewHasher().Hash(t.Context(), fakecrowd.JanesWord)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []admin.Draft{
		{Kind: settings.Connectors, Doc: form.Doc{"id": "local", "type": "local", "name": "Ours"}},
		{Kind: settings.LocalUsers, Doc: form.Doc{"login": "jane", "name": "Jane Doe", "groups": []any{"platform"}, "passwordHash": hash}},
	} {
		if _, err := s.provider.Admin.Apply(t.Context(), admin.Caller{User: root}, d); err != nil {
			t.Fatal(err)
		}
	}
	browser := relyingparty.NewBrowser(t, s.cfg.url.String(), &desk{s: s, cookie: cookie})
	address := s.cfg.url.String() + "/admin/connectors/local"
	values := controls(browser.Get(address).Doc)
	values.Set("do", "test")
	if said := try(t, browser, address, values, nil); !strings.Contains(said, "The sign-in worked") || !strings.Contains(said, "local:platform") {
		t.Error(said)
	}
}

// try runs a test sign-in with these settings and follows it: to a password form, or to the upstream and back. It
// returns the final text.
func try(t *testing.T, browser *relyingparty.Browser, address string, values url.Values, fields map[string]string) string {
	t.Helper()
	for name, value := range fields {
		values.Set("config."+name, value)
	}
	page := browser.Post(address, values)
	if page.RedirectedTo != nil {
		t.Fatal(page)
	}
	if page.Doc.Find("main input[type=password]").Length() > 0 && page.Doc.Find("form.entry").Length() == 0 {
		return end(t, browser.Submit(page, map[string]string{"username": "jane", "password": fakecrowd.JanesWord}))
	}
	link, found := page.Doc.Find(`a.button[href$="/go"]`).Attr("href")
	onward, err := url.Parse(link)
	if !found || err != nil {
		t.Fatalf("%s: %v\n%s", page, err, page.Doc.Find("main").Text())
	}
	page = browser.Get(page.URL.ResolveReference(onward).String())
	// SAML continues with forms: from Fairlead to the upstream, from the upstream's site to Fairlead, and the same
	// form again from Fairlead.
	for _, from := range []string{"same-origin", "cross-site", "same-origin"} {
		if page.RedirectedTo == nil && page.Doc.Find(`input[name="SAMLRequest"], input[name="SAMLResponse"]`).Length() > 0 {
			page = browser.WithFetchSite(from).Submit(page, nil)
		}
	}
	return end(t, page)
}

func end(t *testing.T, page *relyingparty.Page) string {
	t.Helper()
	if page.RedirectedTo != nil {
		t.Fatal(page)
	}
	return page.Doc.Find("main").Text()
}
