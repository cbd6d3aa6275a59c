package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// furnish makes a connector, clusters, a rule for them, and an admin rule for corp:root.
func (s *station) furnish(clusters int) {
	s.t.Helper()
	page, now := store.Origin{Origin: store.OriginPage}, time.Now()
	err := s.store.UpdateSettings(s.t.Context(), func(tx *store.SettingsTx) error {
		for i := range clusters {
			id := fmt.Sprintf("c%d", i)
			if err := tx.Put(&store.Cluster{ID: id, Name: id, Server: "https://" + id + ".test", Audience: "k8s-" + id, Mode: store.ModeProxy, TokenSeconds: 600, Labels: store.Labels{"env": "test"}, Origin: page}, now); err != nil {
				return err
			}
		}
		if err := tx.Put(&store.AccessRule{ID: "all", Description: "All", GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"*"}, Origin: page}, now); err != nil {
			return err
		}
		return tx.Put(&store.AccessRule{ID: "admins", Admin: true, UserNames: store.Strings{"corp:root"}, Origin: page}, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// contains fails unless a page has all texts.
func contains(t *testing.T, what string, w *httptest.ResponseRecorder, status int, wants ...string) string {
	t.Helper()
	text := w.Body.String()
	if w.Code != status {
		t.Errorf("%s: status %d, want %d", what, w.Code, status)
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %q:\n%s", what, want, text)
		}
	}
	return text
}

// TestBulkActs counts consequences, skips what changed meanwhile, and refuses other users and other sites.
func TestBulkActs(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.furnish(3)
	_, root := s.person("corp", "root", time.Now().Add(time.Hour))
	ann, annCookie := s.person("corp", "ann", time.Now().Add(time.Hour), "corp:dev")
	bob, _ := s.person("corp", "bob", time.Now().Add(time.Hour), "corp:dev")
	both := url.Values{"act": {"disable"}, "id": {ann.ID, bob.ID}}

	contains(t, "the question", s.ask(http.MethodGet, "/admin/people/bulk?"+both.Encode(), root, "", "same-origin"), http.StatusOK,
		"corp:ann", "corp:bob", "Disable 2 users", "end at once: 2.")
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a user who is no admin": s.post("/admin/people/bulk", annCookie, both),
		"a question of a user":   s.ask(http.MethodGet, "/admin/people/bulk?"+both.Encode(), annCookie, "", "same-origin"),
		"a form of another site": s.send(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/people/bulk", strings.NewReader(both.Encode())), root, "", "cross-site"),
	} {
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
	for _, u := range []*store.User{ann, bob} {
		if now, err := s.store.User(t.Context(), u.ID); err != nil || now.Disabled {
			t.Fatalf("%s is disabled %v by a refused request, error %v", u.KubeName, now.Disabled, err)
		}
	}
	// One of the rows changes between the question and the answer.
	if _, err := s.store.End(t.Context(), store.Ending{Scope: store.EndAccount, UserID: ann.ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	contains(t, "the question with a stale row", s.ask(http.MethodGet, "/admin/people/bulk?"+both.Encode(), root, "", "same-origin"), http.StatusOK, "Not changed", "Disable corp:bob?")
	both.Add("id", "usr_gone")
	contains(t, "the answer with stale rows", s.post("/admin/people/bulk", root, both), http.StatusOK, "usr_gone")
	if now, err := s.store.User(t.Context(), bob.ID); err != nil || !now.Disabled {
		t.Errorf("bob is disabled %v, error %v", now.Disabled, err)
	}
	contains(t, "no selection", s.post("/admin/people/bulk", root, url.Values{"act": {"disable"}}), http.StatusBadRequest, "No row is selected.")
	contains(t, "an unknown act", s.post("/admin/people/bulk", root, url.Values{"act": {"explode"}, "id": {bob.ID}}), http.StatusBadRequest, "not available")
}

// TestRestoreOfAStaleVersion previews a restore, changes the entry, and wants a conflict and a new preview.
func TestRestoreOfAStaleVersion(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.furnish(1)
	_, root := s.person("corp", "root", time.Now().Add(time.Hour))
	describe := func(text string) {
		t.Helper()
		values := controls(read(t, s.ask(http.MethodGet, "/admin/clusters/c0", root, "", "same-origin")))
		values.Set("description", text)
		values.Set("do", "save")
		if w := s.post("/admin/clusters/c0", root, values); w.Code != http.StatusSeeOther {
			t.Fatalf("status %d:\n%s", w.Code, w.Body)
		}
	}
	describe("first")
	rows, err := s.store.Revisions(t.Context(), store.RevisionQuery{Limit: 1})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d revisions, error %v", len(rows), err)
	}
	path := "/admin/history/" + rows[0].ID
	form := read(t, s.ask(http.MethodGet, path, root, "", "same-origin")).Find(`form[action$="/restore"]`).First()
	values := url.Values{"to": {form.Find("[name=to]").AttrOr("value", "")}, "current": {form.Find("[name=current]").AttrOr("value", "")}}
	if values.Get("current") == "" {
		t.Fatal("the preview does not say which version it is of")
	}
	describe("second")
	contains(t, "the stale restore", s.post(path+"/restore", root, values), http.StatusUnprocessableEntity, "Not restored: the entry has changed since this page was opened.", `name="current"`)
	description := func() string {
		return controls(read(t, s.ask(http.MethodGet, "/admin/clusters/c0", root, "", "same-origin"))).Get("description")
	}
	if got := description(); got != "second" {
		t.Errorf("the description is %q after a refused restore", got)
	}
	fresh := read(t, s.ask(http.MethodGet, path, root, "", "same-origin")).Find(`form[action$="/restore"]`).First()
	values.Set("current", fresh.Find("[name=current]").AttrOr("value", ""))
	if w := s.post(path+"/restore", root, values); w.Code != http.StatusSeeOther {
		t.Errorf("the restore with the new preview: %d\n%s", w.Code, w.Body)
	}
	if got := description(); got != "" {
		t.Errorf("the description is %q after the restore", got)
	}
}

// TestSecretsOfADraft types a secret into a form that can't be saved: the form keeps it encrypted, for this session,
// entry, field and destination only.
func TestSecretsOfADraft(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.furnish(0)
	_, root := s.person("corp", "root", time.Now().Add(time.Hour))
	_, other := s.person("corp", "root", time.Now().Add(time.Hour))
	const secret, path = "canary-of-a-draft", "/admin/connectors/new?type=github"
	values := controls(read(t, s.ask(http.MethodGet, path, root, "", "same-origin")))
	values.Set("id", "Not An Id")
	values.Set("config.clientID", "client-of-acme")
	values.Set("config.clientSecret", secret)
	values.Set("config.orgs[0].name", "acme")
	values.Set("config.host", "https://git.example.test")
	values.Set("do", "save")
	w := s.post(path, root, values)
	if text := contains(t, "the refused draft", w, http.StatusUnprocessableEntity, "client-of-acme", "Not An Id"); strings.Contains(text, secret) {
		t.Fatal("the form shows the secret")
	}
	kept := controls(read(t, w))
	if kept.Get("config.clientSecret") != "" || kept.Get("config.clientSecret.sealed") == "" {
		t.Fatalf("the form keeps %q and %q", kept.Get("config.clientSecret"), kept.Get("config.clientSecret.sealed"))
	}
	kept.Set("do", "save")
	// Still not saved: each form says whether it has the secret by sealing it again.
	has := func(path, cookie string, change func(url.Values)) bool {
		t.Helper()
		again := url.Values{}
		for name := range kept {
			again[name] = append([]string{}, kept[name]...)
		}
		change(again)
		w := s.post(path, cookie, again)
		if strings.Contains(w.Body.String(), secret) || w.Code != http.StatusUnprocessableEntity {
			t.Errorf("status %d, or the form shows the secret", w.Code)
		}
		return controls(read(t, w)).Get("config.clientSecret.sealed") != ""
	}
	if !has(path, root, func(url.Values) {}) {
		t.Error("the same form has lost the secret")
	}
	for name, lost := range map[string]bool{
		"another session":     !has(path, other, func(url.Values) {}),
		"another destination": !has(path, root, func(v url.Values) { v.Set("config.host", "https://evil.example.test") }),
		"another type":        !has("/admin/connectors/new?type=gitlab", root, func(v url.Values) { v.Set("type", "gitlab") }),
		"a changed seal":      !has(path, root, func(v url.Values) { v.Set("config.clientSecret.sealed", v.Get("config.clientSecret.sealed")[1:]) }),
	} {
		if !lost {
			t.Errorf("%s gets the secret", name)
		}
	}
	kept.Set("id", "git")
	if w := s.post(path, root, kept); w.Code != http.StatusSeeOther {
		t.Fatalf("saving: %d %s", w.Code, read(t, w).Find("#problems").Text())
	}
	saved := s.ask(http.MethodGet, "/admin/connectors/git", root, "", "same-origin")
	contains(t, "the saved connector", saved, http.StatusOK, "Saved. Leave empty to keep it.")
	version := controls(read(t, saved)).Get("version")
	if has("/admin/connectors/git", root, func(v url.Values) { v.Set("config.orgs[0].name", ""); v.Set("version", version) }) {
		t.Error("another entry gets the secret")
	}
}

// TestListsBearAnyParameters asks for lists with parameters that no link of theirs has.
func TestListsBearAnyParameters(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.furnish(60)
	_, root := s.person("corp", "root", time.Now().Add(time.Hour))
	for _, list := range []string{"clusters", "people", "rules", "groups", "proxies", "tokens", "history", "local-users", "connectors", "clients", "workloads", "recordings"} {
		for _, query := range []string{
			"sort=nothing", "sort=-", "sort=-name&sort=name", "state=none", "page=0", "page=-3", "page=x", "page=999", "page=9223372036854775807", "page=184467440737095517",
			"q=%25%5F%5C", "q=%00%ff", "q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "state=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "sort=name%27%3B+DROP+TABLE+users--", "connector=x&group=y&env=%3Cb%3E",
		} {
			w := s.ask(http.MethodGet, "/admin/"+list+"?"+query, root, "", "same-origin")
			if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>alert") {
				t.Errorf("%s?%s: status %d", list, query, w.Code)
			}
		}
	}
	order := func(query string) []string {
		var names []string
		for _, a := range read(t, s.ask(http.MethodGet, "/admin/clusters?"+query, root, "", "same-origin")).Find("main .row-link").EachIter() {
			names = append(names, a.Text())
		}
		return names
	}
	if up, down := order("sort=name"), order("sort=-name"); len(up) != 50 || len(down) != 50 || up[0] != "c0" || down[0] != "c9" {
		t.Errorf("sorted up %v, down %v", up, down)
	}
	if got := order("q=c59"); len(got) != 1 || got[0] != "c59" {
		t.Errorf("the filter finds %v", got)
	}
	contains(t, "a page after the last", s.ask(http.MethodGet, "/admin/clusters?page=9", root, "", "same-origin"), http.StatusOK, "60")
}
