package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The size of a large installation, and the largest size of its pages in bytes.
const (
	manyClusters = 500
	manyPeople   = 5000
	manyRules    = 200
	pageBudget   = 50 << 10
)

// fill creates a large installation.
func (s *station) fill() {
	s.t.Helper()
	page, now := store.Origin{Origin: store.OriginPage}, time.Now()
	err := s.store.UpdateSettings(s.t.Context(), func(tx *store.SettingsTx) error {
		for i := range manyClusters {
			id := fmt.Sprintf("cluster-%03d", i)
			if err := tx.Put(&store.Cluster{
				ID: id, Name: "Cluster of the team number " + fmt.Sprint(i), Environment: []string{"production", "test"}[i%2], Server: "https://" + id + ".acme.invalid:6443", Audience: "k8s-" + id,
				Mode: store.ModeProxy, TokenSeconds: 600, Labels: store.Labels{"env": fmt.Sprint(i % 5), "team": fmt.Sprint("t", i%40), "region": "eu-central"}, Origin: page,
			}, now); err != nil {
				return err
			}
		}
		for i := range manyRules {
			if err := tx.Put(&store.AccessRule{
				ID: fmt.Sprintf("rule-%03d", i), Position: i, Description: "The team " + fmt.Sprint(i) + " uses its clusters", GroupNames: store.Strings{fmt.Sprintf("corp:team-%02d", i), "corp:admins-of-the-platform"},
				ClusterLabels: store.Labels{"team": fmt.Sprint("t", i%50)}, Origin: page,
			}, now); err != nil {
				return err
			}
		}
		for i := range manyPeople {
			login := fmt.Sprintf("user%04d", i)
			if err := tx.Put(&store.User{
				ID: fmt.Sprintf("usr_%04d", i), ConnectorID: "corp", Subject: login, KubeName: "corp:" + login, NameKey: "corp:" + login, Login: login,
				DisplayName: fmt.Sprintf("Person Number %d", i), Email: login + "@acme.example", EmailVerified: true,
				GroupNames: store.Strings{"corp:all", fmt.Sprintf("corp:team-%02d", i%90), fmt.Sprintf("corp:guild-%d", i%7), fmt.Sprintf("corp:office-%d", i%3)},
				Created:    store.At(now), Checked: store.At(now), LastSignIn: store.At(now.Add(-time.Duration(i) * time.Hour)),
			}, now); err != nil {
				return err
			}
		}
		return tx.Put(&store.AccessRule{ID: "admins", Description: "Admins", Admin: true, UserNames: store.Strings{"corp:root"}, Origin: page}, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// show returns a page and checks its size. BenchmarkLists measures the time.
func (s *station) show(path, cookie string) string {
	s.t.Helper()
	w := s.ask(http.MethodGet, path, cookie, "", "same-origin")
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s: %d, to %q", path, w.Code, w.Header().Get("Location"))
	}
	if w.Body.Len() > pageBudget {
		s.t.Errorf("%s: %d bytes, want at most %d", path, w.Body.Len(), pageBudget)
	}
	return w.Body.String()
}

// BenchmarkLists requests the slowest pages of a large installation.
func BenchmarkLists(b *testing.B) {
	s := newStation(b)
	s.fill()
	_, cookie := s.person("corp", "root", time.Now().Add(time.Hour))
	for _, path := range []string{"/admin/search?q=team-1", "/admin/search?q=sign_in", "/admin/clusters", "/admin/people", "/admin/groups", "/admin/rules", "/admin/access-map"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				s.show(path, cookie)
			}
		})
	}
}

// TestListsOfALargeInstallation checks the size and the content of lists and search results with 500 clusters,
// 5,000 users and 200 rules.
func TestListsOfALargeInstallation(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.fill()
	_, cookie := s.person("corp", "root", time.Now().Add(time.Hour))
	for path, wants := range map[string][]string{
		"/admin/search?q=cluster-1":                      {"Clusters", "cluster-100", "/admin/clusters?q=cluster-1"},
		"/admin/search?q=person+number+4":                {"People", "user0004", "/admin/people?q=person&#43;number&#43;4"},
		"/admin/search?q=team-1":                         {"Groups", "corp:team-10", "Access rules", "rule-010"},
		"/admin/search?q=sign_in":                        {"Audit events", "sign_in.refused"},
		"/admin/search?q=session":                        {"Settings", "/admin/general/sessions#f-idle"},
		"/admin/clusters":                                {"No proxy enrolled", "1–50 of 500", "page=2", `aria-sort`, "env=0"},
		"/admin/clusters?q=cluster-12":                   {"cluster-129", "1–10 of 10"},
		"/admin/clusters?sort=-name&page=10":             {"Previous page", "451–500 of 500"},
		"/admin/rules":                                   {"56 people, ", "Matches no user", "Matches no cluster"},
		"/admin/rules?state=no-user&sort=state":          {"Matches no user yet"},
		"/admin/people":                                  {"user0000", "1–50 of 5001", "No sign-in for 90 days"},
		"/admin/people?state=inactive&sort=-last&page=2": {"Inactive", "Person Number"},
		"/admin/people?group=corp:team-07&connector=":    {"Users with the group corp:team-07", "of 56"},
		"/admin/groups":                                  {"corp:team-100", "No user has it"},
		"/admin/groups?q=guild":                          {"corp:guild-6", "714"},
		"/admin/access-map":                              {"200 rules, 201 groups and users", "Showing rules 1–15 of 200", "corp:team-00", "team=t3 (13 clusters)", "admins-of-the-platform"},
		"/admin/access-map?page=14":                      {"Showing rules 196–200 of 200", "none"},
		"/admin/access-map?group=corp:team-07":           {"Group corp:team-07", "rule-007"},
		"/admin/access-map?cluster=cluster-007":          {"111 people may use cluster-007", "4 rules open it"},
		"/admin/access-map?user=usr_0007":                {"Access map of Person Number 7", "corp:user0007 may use 13 clusters by 1 rule"},
		"/admin/access-map?environment=test&q=rule-01":   {"rule-011", "Environment test", "13 clusters"},
		"/admin/access-map?rule=rule-001":                {"cluster-041"},
		"/admin/clients":                                 {"No client yet", "New client"},
		"/admin/connectors":                              {"New connector"},
		"/admin/local-users":                             {"New local user"},
		"/admin/workloads":                               {"New workload"},
		"/admin/proxies":                                 {"No proxy has enrolled yet"},
		"/admin/tokens":                                  {"No API token yet"},
		"/admin/keys":                                    {"Rotate"},
		"/admin/history":                                 {"No change yet"},
		"/admin/general":                                 {"Sessions"},
		"/admin/search?q=nothing-at-all":                 {"Nothing matches"},
	} {
		text := s.show(path, cookie)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
	// A preview says who gains the 500 clusters, and stays a page.
	preview := s.post("/admin/rules/new", cookie, url.Values{"do": {"preview"}, "id": {"all"}, "who.everyone": {"true"}, "clusters.ids": {"*"}})
	if text := preview.Body.String(); len(text) > pageBudget || !strings.Contains(text, "flow-added") {
		t.Errorf("a preview: %d, %d bytes", preview.Code, len(text))
	}
	// A single match opens at once.
	for query, want := range map[string]string{"cluster-123": "/admin/clusters/cluster-123", "user4321@acme.example": "/admin/people/usr_"} {
		w := s.ask(http.MethodGet, "/admin/search?q="+query, cookie, "", "same-origin")
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.Contains(got, want) {
			t.Errorf("%s: %d to %s", query, w.Code, got)
		}
	}
}
