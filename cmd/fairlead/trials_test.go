package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/settings"
	"github.com/fairlead-auth/fairlead/test/fakeforge"
	"github.com/fairlead-auth/fairlead/test/rp"
)

// desk is an admin's browser: what goes to Fairlead stays in this process.
type desk struct {
	s      *station
	cookie string
}

// RoundTrip implements http.RoundTripper.
func (d desk) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != d.s.cfg.url.Host {
		return http.DefaultTransport.RoundTrip(r)
	}
	inside := r.Clone(r.Context())
	inside.RequestURI, inside.Host, inside.RemoteAddr = r.URL.RequestURI(), r.URL.Host, "192.0.2.1:1"
	inside.AddCookie(&http.Cookie{Name: "fairlead", Value: d.cookie})
	if inside.Body == nil {
		inside.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.s.router.ServeHTTP(w, inside)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// TestASignInIsTestedBeforeItIsSaved types a connector into its page and goes to the
// upstream and back with it: the page shows who came, and nothing is kept.
func TestASignInIsTestedBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	for kind, fields := range map[string][]string{
		"gitlab": {"baseURL"}, "gitea": {"baseURL"}, "microsoft": {"apiURL", "graphURL"}, "oauth": {"authorizationURL", "tokenURL", "userInfoURL"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStation(t)
			root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
			forge := fakeforge.Start(t, s.cfg.url.String()+"/callback/up")
			browser := rp.NewBrowser(t, s.cfg.url.String(), desk{s, cookie})
			browser.Elsewhere = strings.TrimPrefix(forge.URL, "http://")

			form := browser.Get(s.cfg.url.String() + "/admin/connectors/new?type=" + kind)
			values := controls(form.Doc)
			for _, name := range fields {
				path := map[string]string{"authorizationURL": "/authorize", "tokenURL": "/token", "userInfoURL": "/userinfo"}[name]
				values.Set("config."+name, forge.URL+path)
			}
			for name, value := range map[string]string{"id": "up", "name": "Up", "config.clientID": fakeforge.ClientID, "config.clientSecret": fakeforge.ClientSecret, "do": "test"} {
				values.Set(name, value)
			}
			if kind == "microsoft" {
				values.Set("config.tenant", "contoso")
			}
			said := goThere(t, browser, browser.Post(s.cfg.url.String()+"/admin/connectors/new", values))
			for _, want := range []string{"The sign-in worked", "Jane Doe", "jane@example.test", "up:"} {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in:\n%s", want, said)
				}
			}
			values.Set("config.clientSecret", "wrong")
			if said := goThere(t, browser, browser.Post(s.cfg.url.String()+"/admin/connectors/new", values)); !strings.Contains(said, "The sign-in failed") || !strings.Contains(said, "refused the client") {
				t.Errorf("with a wrong secret:\n%s", said)
			}
			if _, err := s.provider.Admin.Entry(t.Context(), admin.Caller{User: root}, settings.Connectors, "up"); err == nil {
				t.Error("the connector was saved")
			}
			if events := s.out.String(); strings.Contains(events, `"event":"sign_in.succeeded"`) || strings.Contains(events, fakeforge.ClientSecret) {
				t.Errorf("somebody was signed in, or a secret is in the log:\n%s", events)
			}
		})
	}
}

// goThere follows the link of a test, and returns what is said in the end.
func goThere(t *testing.T, browser *rp.Browser, page *rp.Page) string {
	t.Helper()
	if page.Left != nil {
		t.Fatal(page)
	}
	link, found := page.Doc.Find(`a.button[href$="/go"]`).Attr("href")
	address, err := url.Parse(link)
	if !found || err != nil {
		t.Fatalf("%s: %v\n%s", page, err, page.Doc.Find("main").Text())
	}
	end := browser.Get(page.URL.ResolveReference(address).String())
	if end.Left != nil {
		t.Fatal(end)
	}
	return end.Doc.Find("main").Text()
}
