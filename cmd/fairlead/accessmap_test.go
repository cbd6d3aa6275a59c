package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/chart/charttest"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

const hostileName = `"><script>alert(1)</script>'&`

// withRules makes an installation with a rule of each kind, and names that try to break the page.
func (s *station) withRules() {
	s.t.Helper()
	page, now := store.Origin{Origin: store.OriginPage}, time.Now()
	err := s.store.UpdateSettings(s.t.Context(), func(tx *store.SettingsTx) error {
		for i, id := range []string{"prod-eu", "prod-us", "test"} {
			if err := tx.Put(&store.Cluster{ID: id, Name: hostileName, Environment: []string{"prod", hostileName}[i/2], Server: "https://" + id + ".test", Audience: id, Mode: store.ModeDirect, TokenSeconds: 600, Labels: store.Labels{"env": id[:4]}, Origin: page}, now); err != nil {
				return err
			}
		}
		for i, rule := range []store.AccessRule{
			{ID: "platform", Description: hostileName, GroupNames: store.Strings{"corp:platform", hostileName}, ClusterIDs: store.Strings{"*"}},
			{ID: "testers", Description: "Testers", UserNames: store.Strings{"corp:Ann", "corp:unknown"}, Domains: store.Strings{"acme.test"}, ClusterLabels: store.Labels{"env": "test"}},
			{ID: "everyone", Everyone: true, ConnectorIDs: store.Strings{"other"}, ClusterIDs: store.Strings{"prod-us"}},
			{ID: "admins", Admin: true, UserNames: store.Strings{"corp:root"}},
		} {
			rule.Position, rule.Origin = i, page
			if err := tx.Put(&rule, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// flow returns the picture of a page.
func (s *station) flow(path, cookie string) charttest.Flow {
	s.t.Helper()
	flows, err := charttest.Flows(s.show(path, cookie))
	if err != nil || len(flows) > 1 {
		s.t.Fatalf("%s: %d pictures, error %v", path, len(flows), err)
	}
	if len(flows) == 0 {
		return charttest.Flow{}
	}
	return flows[0]
}

// reached returns the labels of the clusters that curves lead to from a subject.
func reached(f charttest.Flow) map[string]bool {
	rules, clusters := map[int]bool{}, map[string]bool{}
	for _, e := range f.Edges {
		if f.Nodes[e.From].Column == "Groups and users" {
			rules[e.To] = true
		}
	}
	for _, e := range f.Edges {
		if rules[e.From] {
			clusters[f.Nodes[e.To].Label] = true
		}
	}
	return clusters
}

// TestTheAccessMapShowsRealDecisions compares the pictures of the pages with the decisions for
// each user and cluster, and their numbers with the database.
func TestTheAccessMapShowsRealDecisions(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.withRules()
	_, cookie := s.person("corp", "root", time.Now().Add(time.Hour))
	var users []*store.User
	for login, groups := range map[string][]string{"ann": nil, "ben": {"corp:platform"}, "cho": {hostileName}} {
		u, _ := s.person("corp", login, time.Now().Add(time.Hour), groups...)
		users = append(users, u)
	}
	other, _ := s.person("other", "dan", time.Now().Add(time.Hour))
	users = append(users, other)
	rules, err := s.store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := s.store.Clusters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	may := map[string]int{}
	for _, user := range users {
		onMap, onPerson := reached(s.flow("/admin/access-map?user="+url.QueryEscape(user.KubeName), cookie)), reached(s.flow("/admin/people/"+user.ID, cookie))
		for i := range clusters {
			want := access.Decide(rules, user, &clusters[i]).Allowed
			if onMap[clusters[i].ID] != want || onPerson[clusters[i].ID] != want {
				t.Errorf("%s and %s: %v on the map, %v on the user’s page, decided %v", user.KubeName, clusters[i].ID, onMap, onPerson, want)
			}
			if want {
				may[clusters[i].ID]++
			}
		}
	}
	whole := s.flow("/admin/access-map", cookie)
	notes := map[string]string{}
	for _, n := range whole.Nodes {
		notes[n.Column+" "+n.Label] = n.Note
	}
	for id, n := range may {
		if got := notes["Clusters "+id]; got != fmt.Sprint(n) {
			t.Errorf("%s has %s users on the map, want %d", id, got, n)
		}
	}
	for label, want := range map[string]string{"corp:platform": "1", hostileName: "1", "corp:ann": "1", "corp:unknown": "0", "@acme.test": "0", "Everyone": "5"} {
		if got, there := notes["Groups and users "+label]; !there || got != want {
			t.Errorf("%s has %q users on the map, want %s", label, got, want)
		}
	}
	if text := s.show("/admin/access-map", cookie); strings.Contains(text, "<script>alert") {
		t.Error("a name is not escaped")
	}
}

// TestPagesOfTheAccessMap visits the filters, the empty states and the links of the map.
func TestPagesOfTheAccessMap(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, cookie := s.person("corp", "root", time.Now().Add(time.Hour))
	if err := s.store.UpdateSettings(t.Context(), func(tx *store.SettingsTx) error {
		return tx.Put(&store.AccessRule{ID: "admins", Admin: true, UserNames: store.Strings{"corp:root"}}, time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	if text := s.show("/admin/access-map", cookie); !strings.Contains(text, "No access rule yet") || !strings.Contains(text, "Example of an access map") || !strings.Contains(text, "/admin/rules/new") {
		t.Error("the empty map does not teach what a rule is")
	}
	s.withRules()
	for path, wants := range map[string][]string{
		"/admin/access-map?cluster=prod-eu":                       {"Access map of prod-eu", "0 people may use prod-eu", "1 rule opens it", `aria-current="page">Access map`},
		"/admin/access-map?rule=testers":                          {"Rule testers", "@acme.test", "/admin/rules/testers"},
		"/admin/access-map?group=corp:platform":                   {"/admin/people?group=corp%3Aplatform", "/admin/simulator?groups=corp%3Aplatform"},
		"/admin/access-map?q=zzz":                                 {"No rule matches these filters", "Remove the filter: Text zzz"},
		"/admin/access-map?user=" + root.ID:                       {"No rule gives this user access", "/admin/simulator?user=corp%3Aroot"},
		"/admin/access-map?environment=prod&everyone=yes":         {"Only through other", "Environment prod"},
		"/admin/access-map?rule=admins":                           {"This rule is not on the map"},
		"/admin/access-map?domain=acme.test":                      {"/admin/people?q=%40acme.test"},
		"/admin/access-map?group=" + url.QueryEscape(hostileName): {"Check access"},
		"/admin/clusters/prod-eu":                                 {"/admin/access-map?cluster=prod-eu"},
		"/admin/rules/testers":                                    {"/admin/access-map?rule=testers"},
		"/admin/people/" + root.ID:                                {"None. Check access"},
	} {
		text := s.show(path, cookie)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
		if strings.Contains(text, "<script>alert") {
			t.Errorf("%s: a name is not escaped", path)
		}
	}
	s.person("corp", "jane", time.Now().Add(time.Hour))
	if text := s.show("/admin/access-map?user=jane", cookie); !strings.Contains(text, "Access map of jane") {
		t.Error("a part of the name does not find the only user who has it")
	}
	s.person("other", "jane", time.Now().Add(time.Hour))
	if w := s.ask(http.MethodGet, "/admin/access-map?user=jane", cookie, "", "same-origin"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Several users match jane: corp:jane, other:jane.") {
		t.Errorf("a part of two names: %d", w.Code)
	}
	if w := s.ask(http.MethodGet, "/admin/access-map?user=nobody", cookie, "", "same-origin"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "No user nobody has signed in yet") {
		t.Errorf("an unknown user: %d", w.Code)
	}
}

var versionOfForm = regexp.MustCompile(`name="version" value="([^"]*)"`)

// TestAPreviewShowsTheDifference previews a change of a rule and reads the picture.
func TestAPreviewShowsTheDifference(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.withRules()
	_, cookie := s.person("corp", "root", time.Now().Add(time.Hour))
	s.person("corp", "ann", time.Now().Add(time.Hour))
	s.person("corp", "ben", time.Now().Add(time.Hour), "corp:new")
	version := versionOfForm.FindStringSubmatch(s.show("/admin/rules/testers", cookie))[1]
	w := s.post("/admin/rules/testers", cookie, url.Values{
		"version": {version}, "do": {"preview"}, "id": {"testers"}, "description": {"Testers"}, "who.groups": {"corp:new"}, "who.domains": {"acme.test"}, "clusters.ids": {"test\nprod-eu"},
	})
	flows, err := charttest.Flows(w.Body.String())
	if err != nil || len(flows) != 1 {
		t.Fatalf("%d, %d pictures, error %v", w.Code, len(flows), err)
	}
	got := map[string]string{}
	for _, n := range flows[0].Nodes {
		got[n.Label] = n.Mark + n.Gain + n.Loss
	}
	for label, want := range map[string]string{"corp:new": "added", "corp:ann": "removed", "@acme.test": "idle", "Testers": "", "test": "+1−1", "prod-eu": "added+1"} {
		if mark, there := got[label]; !there || mark != want {
			t.Errorf("%s is marked %q, want %q", label, mark, want)
		}
	}
	for _, want := range []string{"− removed", "+ added", "+ corp:ben", "− corp:ann", "1 person would gain prod-eu."} {
		if !strings.Contains(w.Body.String(), strings.ReplaceAll(want, "+", "&#43;")) && !strings.Contains(w.Body.String(), want) {
			t.Errorf("the table has no %q", want)
		}
	}
	if d := s.post("/admin/rules/new", cookie, url.Values{"do": {"preview"}, "id": {"more"}, "who.everyone": {"true"}, "who.everyone.confirm": {"yes"}, "clusters.ids": {"*"}}); !strings.Contains(d.Body.String(), "All 3 clusters") && !strings.Contains(d.Body.String(), "flow-added") {
		t.Errorf("a new rule: %d without a picture", d.Code)
	}
	if text := s.show("/admin/rules/testers/delete", cookie); !strings.Contains(text, "flow-removed") {
		t.Error("a deletion does not show what is lost")
	}
}
