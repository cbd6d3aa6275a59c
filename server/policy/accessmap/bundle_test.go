package accessmap_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// large is a map with more subjects and clusters than a picture shows.
func large(g generator) *accessmap.Map {
	const rules, clusters = 20, 500
	set := access.Ruleset{Rules: g.rules(rules, 40)}
	for i := range set.Rules {
		for k := range g.IntN(30) {
			set.Rules[i].UserNames = append(set.Rules[i].UserNames, fmt.Sprint("user", i*g.IntN(3), "-", k))
		}
	}
	for i := range clusters {
		set.Clusters = append(set.Clusters, store.Cluster{ID: fmt.Sprint("k", i), Environment: fmt.Sprint("e", i%3), Labels: g.labels()})
	}
	return accessmap.NewBuilder(set.Rules, set.Clusters).Build(accessmap.Filter{})
}

// TestAPictureShowsAllEdges checks that a picture is small, that each element is in one bundle,
// and that its edges are those of the map.
func TestAPictureShowsAllEdges(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(11, 12))}
	bundled := 0
	for range 20 {
		m := large(g)
		p := m.Picture(24)
		wantSubjects, wantClusters := map[[2]int]bool{}, map[[2]int]bool{}
		for r, rule := range m.Rules {
			for _, e := range rule.Subjects {
				wantSubjects[[2]int{r, e.To}] = true
			}
			for _, e := range rule.Clusters {
				wantClusters[[2]int{r, e.To}] = true
			}
		}
		bundled += checkBundles(t, p.Subjects, len(m.Subjects), wantSubjects) + checkBundles(t, p.Clusters, len(m.Clusters), wantClusters)
	}
	if bundled < 40 {
		t.Errorf("%d bundles: the test shows little", bundled)
	}
}

func checkBundles(t *testing.T, bundles []accessmap.Bundle, members int, want map[[2]int]bool) (bundled int) {
	t.Helper()
	seen, edges, got := map[int]bool{}, 0, map[[2]int]bool{}
	for _, b := range bundles {
		edges += len(b.Rules)
		if len(b.Members) > 1 {
			bundled++
		}
		for _, member := range b.Members {
			if seen[member] {
				t.Fatalf("%d is in two bundles", member)
			}
			seen[member] = true
			for _, e := range b.Rules {
				if edge := [2]int{e.To, member}; !b.Rest || want[edge] {
					got[edge] = true
				}
			}
		}
	}
	if len(bundles) > 24 || edges > 72 || len(seen) != members {
		t.Fatalf("%d bundles, %d edges, %d of %d members", len(bundles), edges, len(seen), members)
	}
	if len(got) != len(want) {
		t.Fatalf("%d edges, want %d", len(got), len(want))
	}
	for edge := range want {
		if !got[edge] {
			t.Fatalf("edge %v is missing", edge)
		}
	}
	return bundled
}

func TestFiltersAndPages(t *testing.T) {
	t.Parallel()
	b := accessmap.NewBuilder([]store.AccessRule{
		{ID: "dev", Description: "Developers", GroupNames: store.Strings{"ldap:dev", "ldap:qa"}, ClusterIDs: store.Strings{"one", "two"}},
		{ID: "ops", GroupNames: store.Strings{"ldap:ops"}, Domains: store.Strings{"acme.test"}, ClusterIDs: store.Strings{"two"}},
		{ID: "late", UserNames: store.Strings{"ldap:Ann"}, ClusterIDs: store.Strings{"none"}},
		{ID: "admins", Admin: true, Everyone: true},
	}, []store.Cluster{{ID: "one", Environment: "test"}, {ID: "two", Name: "Second", Environment: "prod"}})
	for _, try := range []struct {
		f                        accessmap.Filter
		rules                    string
		subjects, clusters, page int
	}{
		{f: accessmap.Filter{}, rules: "dev ops late ", subjects: 5, clusters: 2},
		{f: accessmap.Filter{Text: "QA"}, rules: "dev ", subjects: 2, clusters: 2},
		{f: accessmap.Filter{Text: "second ops"}, rules: "ops ", subjects: 2, clusters: 1},
		{f: accessmap.Filter{Text: "zzz"}},
		{f: accessmap.Filter{Rule: "ops"}, rules: "ops ", subjects: 2, clusters: 1},
		{f: accessmap.Filter{Rule: "admins"}},
		{f: accessmap.Filter{Cluster: "one"}, rules: "dev ", subjects: 2, clusters: 1},
		{f: accessmap.Filter{Environment: "prod"}, rules: "dev ops ", subjects: 4, clusters: 1},
		{f: accessmap.Filter{Subject: access.Subject{Kind: access.SubjectUser, Name: "ldap:ann"}}, rules: "late ", subjects: 1},
		{f: accessmap.Filter{Subject: access.Subject{Kind: access.SubjectGroup, Name: "ldap:qa"}}, rules: "dev ", subjects: 1, clusters: 2},
		{f: accessmap.Filter{User: &store.User{GroupNames: store.Strings{"ldap:ops"}}}, rules: "ops ", subjects: 1, clusters: 1},
		{f: accessmap.Filter{User: &store.User{GroupNames: store.Strings{"ldap:ops"}, Disabled: true}}},
	} {
		m, rules := b.Build(try.f), ""
		for _, rule := range m.Rules {
			rules += rule.ID + " "
		}
		if rules != try.rules || len(m.Subjects) != try.subjects || len(m.Clusters) != try.clusters {
			t.Errorf("%+v: rules %s, %d subjects, %d clusters", try.f, rules, len(m.Subjects), len(m.Clusters))
		}
	}
	part := b.Build(accessmap.Filter{}).Page(1, 1)
	if len(part.Rules) != 1 || len(part.Subjects) != 2 || len(part.Clusters) != 1 || part.Clusters[part.Rules[0].Clusters[0].To].ID != "two" {
		t.Errorf("the second page is %+v", part)
	}
	if beyond := part.Page(7, 3); len(beyond.Rules) != 0 {
		t.Errorf("a page after the last is %+v", beyond)
	}
}
