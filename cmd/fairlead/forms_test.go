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
	"github.com/fairlead-auth/fairlead/server/settings"
)

// TestEveryTypeIsConfiguredInThePage fills every field of the form of every type and
// preset, as a person would, saves it, and opens it again: everything is there but
// the secrets, and saving once more without a change keeps those.
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
		for _, name := range []string{"version", "do", "reason"} { // of the form, not of the entry
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
}

func read(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// controls are what a browser would send of the form of an entry.
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

// fill gives every control that is empty a value.
func fill(page *goquery.Document) url.Values {
	values := controls(page)
	for name := range values {
		c := page.Find(`form.entry [name="` + name + `"]`)
		if values.Get(name) == "" && !c.Is("select, [type=hidden]") && name != "lookup" && !strings.HasSuffix(name, ".confirm") {
			values.Set(name, textFor(c, strings.ToLower(name)))
		}
	}
	return values
}

func isSecret(page *goquery.Document, name string) bool {
	return page.Find(`form.entry [type=password][name="`+name+`"]`).Length() > 0
}

// textFor is what somebody would type.
func textFor(c *goquery.Selection, name string) string {
	switch {
	case strings.HasSuffix(name, "serviceaccount"):
		return sampleAccount("sample")
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
