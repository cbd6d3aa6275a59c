package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
)

// TestEveryTypeIsConfiguredInThePage fills in every field of the form of every connector type and preset, saves it
// and opens it again. All values except secrets must be there. Saving again without a change must keep the secrets.
func TestEveryTypeIsConfiguredInThePage(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	forms := 0
	for _, link := range read(t, s.ask(http.MethodGet, "/admin/connectors/new", cookie, "", "same-origin")).Find("main a[href*='type=']").EachIter() {
		forms++
		address, _ := link.Attr("href")
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		kind := u.Query().Get("type")
		id := strings.ToLower(strings.NewReplacer(" ", "-", "_", "-", "/", "-").Replace("x-" + kind + "-" + u.Query().Get("preset")))
		id = strings.Trim(id, "-")
		values := fill(read(t, s.ask(http.MethodGet, address, cookie, "", "same-origin")))
		values.Set("id", id)
		values.Set("do", "save")
		if w := s.post("/admin/connectors/new", cookie, values); w.Code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", address, w.Code, strings.Join(strings.Fields(read(t, w).Find("#problems").Text()), " "))
			continue
		}
		page := read(t, s.ask(http.MethodGet, "/admin/connectors/"+id, cookie, "", "same-origin"))
		again := controls(page)
		for _, name := range []string{"version", "do", "reason", "fill.metadata"} { // a field of the form and not of the entry
			values.Del(name)
		}
		for name := range values {
			want, got := strings.TrimSpace(values.Get(name)), strings.TrimSpace(again.Get(name))
			if isSecret(page, name) && got != "" || !isSecret(page, name) && want != got {
				t.Errorf("%s: %s was saved as %q, and is shown as %q", address, name, want, got)
			}
		}
		before, err := s.provider.Admin.Entry(t.Context(), admin.Caller{User: root}, settings.Connectors, id)
		if err != nil {
			t.Fatal(err)
		}
		again.Set("do", "save")
		w := s.post("/admin/connectors/"+id, cookie, again)
		after, err := s.provider.Admin.Entry(t.Context(), admin.Caller{User: root}, settings.Connectors, id)
		if diff := cmp.Diff(before.Doc, after.Doc); err != nil || diff != "" || w.Code != http.StatusSeeOther {
			t.Errorf("%s: saved without a change: %d, %v (-before +after):\n%s", address, w.Code, err, diff)
		}
	}
	if forms < len(s.reloader.types) {
		t.Errorf("only %d forms", forms)
	}
	if icons := read(t, s.ask(http.MethodGet, "/admin/connectors/new", cookie, "", "same-origin")).Find("svg.icon").Length(); icons != len(s.reloader.types) {
		t.Errorf("%d types have an icon that there is", icons)
	}
}

// typed is a value for a form field, with the place where it must appear after saving.
type typed struct {
	path, saved string
	typed       url.Values
}

func typedForms() []typed {
	return []typed{
		{"/admin/connectors/new?type=local", "/admin/connectors/local", url.Values{"id": {"local"}, "name": {"Ours"}}},
		{"/admin/general/sessions", "", url.Values{"idle": {"1h"}, "absolute": {"24h"}, "maxAge": {"2m"}, "outageBudget": {"30m"}, "refreshGrace": {"10s"}}},
		{"/admin/general/branding", "", url.Values{
			"brand": {"Acme"}, "notice": {"Only for us."}, "contact": {"ops@example.test"}, "logo": {`<svg xmlns="http://www.w3.org/2000/svg"/>`}, "color": {"#7a1fa2"}, "colorDark": {"#e0a8f5"},
		}},
		{"/admin/clusters/new", "/admin/clusters/one", url.Values{
			"id": {"one"}, "name": {"One"}, "description": {"The first"}, "environment": {"prod"}, "color": {"red"}, "labels": {"env=prod"}, "server": {"https://k8s.example.test"}, "ca": {samplePEM()},
			"audience": {"k8s-first"}, "algorithm": {"ES256"}, "tokenLife": {"15m"}, "notes": {"Be careful."}, "statusURL": {"https://status.example.test"},
		}},
		{"/admin/rules/new", "/admin/rules/some", url.Values{
			"id": {"some"}, "description": {"Some may"}, "who.groups": {"ldap:a\nldap:b"}, "who.users": {"ldap:jane"}, "who.domains": {"example.test"}, "clusters.ids": {"one"}, "clusters.labels": {"env=prod"}, "previewed": {"yes"},
		}},
		{"/admin/clients/new", "/admin/clients/web", url.Values{
			"id": {"web"}, "name": {"Web"}, "redirectURIs": {"https://web.example.test/cb"}, "postLogoutRedirectURIs": {"https://web.example.test/"}, "backchannelLogoutURI": {"https://web.example.test/out"},
			"grants": {"authorization_code"}, "firstParty": {"true"}, "algorithm": {"ES256"},
		}},
		{"/admin/trusted-issuers/new", "/admin/trusted-issuers/ci", url.Values{"id": {"ci"}, "url": {"https://ci.example.test"}, "audience": {"fairlead"}}},
		{"/admin/workloads/new", "/admin/workloads/deploy", url.Values{"id": {"deploy"}, "description": {"Deploys"}, "issuer": {"ci"}, "claims": {"repository=acme/app"}, "groups": {"deployers"}}},
		{"/admin/local-users/new", "/admin/local-users/bob", url.Values{"login": {"bob"}, "name": {"Bob"}, "email": {"bob@example.test"}, "groups": {"ops"}}},
	}
}

// TestEveryFormKeepsWhatWasTyped fills in every field of the other forms, saves them and opens them again.
func TestEveryFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	_, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	for _, f := range typedForms() {
		values := controls(read(t, s.ask(http.MethodGet, f.path, cookie, "", "same-origin")))
		for name := range f.typed {
			if _, there := values[name]; !there && name != "firstParty" && name != "previewed" {
				t.Errorf("%s has no field %s", f.path, name)
			}
			values.Set(name, f.typed.Get(name))
		}
		values.Set("do", "save")
		w := s.post(f.path, cookie, values)
		if strings.HasPrefix(f.path, "/admin/rules") { // the form shows a preview first
			again := controls(read(t, w))
			again.Set("do", "save")
			w = s.post(f.path, cookie, again)
		}
		if w.Code != http.StatusSeeOther && w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", f.path, w.Code, read(t, w).Find("#problems").Text())
			continue
		}
		if f.saved == "" {
			f.saved = f.path
		}
		shown := controls(read(t, s.ask(http.MethodGet, f.saved, cookie, "", "same-origin")))
		for name := range f.typed {
			if want, got := strings.TrimSpace(f.typed.Get(name)), strings.TrimSpace(shown.Get(name)); name != "previewed" && want != got {
				t.Errorf("%s: %s was typed as %q, and is shown as %q", f.path, name, want, got)
			}
		}
	}
}

func read(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// controls returns the form fields that a browser would send.
func controls(page *goquery.Document) url.Values {
	values := url.Values{}
	for _, c := range page.Find("form.entry").Find("input, select, textarea").EachIter() {
		name, _ := c.Attr("name")
		switch {
		case c.Is("select"):
			chosen := c.Find("option[selected]")
			if chosen.Length() == 0 {
				chosen = c.Find("option")
			}
			values.Add(name, chosen.First().AttrOr("value", ""))
		case c.Is("textarea"):
			values.Add(name, strings.TrimPrefix(c.Text(), "\n"))
		case c.Is("[type=checkbox]") && !c.Is("[checked]"):
		default:
			values.Add(name, c.AttrOr("value", ""))
		}
	}
	return values
}

// fill sets every empty control.
func fill(page *goquery.Document) url.Values {
	values := controls(page)
	for name := range values {
		c := page.Find(`form.entry [name="` + name + `"]`)
		if values.Get(name) == "" && !c.Is("select, [type=hidden]") && name != "lookup" && !strings.HasPrefix(name, "fill.") && !strings.HasSuffix(name, ".confirm") {
			values.Set(name, textFor(c, strings.ToLower(name)))
		}
	}
	return values
}

func isSecret(page *goquery.Document, name string) bool {
	return page.Find(`form.entry [placeholder^="Saved."][name="`+name+`"]`).Length() > 0
}

// textFor returns a valid value for a field.
func textFor(c *goquery.Selection, name string) string {
	switch {
	case strings.HasSuffix(name, "serviceaccount"):
		return sampleAccount("sample")
	case strings.HasSuffix(name, "keypair"):
		return sampleKeyPair()
	case strings.HasSuffix(name, "emailattr"):
		return "mail"
	case c.Is("[type=date]"):
		return "2099-05-31"
	case c.Is("[inputmode=numeric]"):
		return "7"
	case c.Is(".mono"):
		return samplePEM()
	case c.Is("textarea") && strings.Contains(name, "host"):
		return "idp.example.test"
	case strings.Contains(name, "url"), strings.Contains(name, "host"), strings.HasSuffix(name, "issuer"):
		return "https://idp.example.test"
	case strings.HasSuffix(name, "filter"):
		return "(objectClass=person)"
	}
	return "sample-of-some-length-please"
}
