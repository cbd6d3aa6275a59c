package accessmap_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// installation is a random one, small enough that rules, users and clusters meet.
type installation struct {
	access.Ruleset
	users []store.User
}

type generator struct{ *rand.Rand }

func (g generator) some(prefix string, n int) store.Strings {
	var list store.Strings
	for i := range n {
		if g.IntN(3) == 0 {
			list = append(list, fmt.Sprint(prefix, i))
		}
	}
	return list
}

func (g generator) labels() store.Labels {
	labels := store.Labels{}
	for _, key := range []string{"env", "team"} {
		if g.IntN(2) == 0 {
			labels[key] = fmt.Sprint(g.IntN(3))
		}
	}
	return labels
}

func (g generator) rules(n, clusters int) []store.AccessRule {
	var rules []store.AccessRule
	for i := range n {
		if g.IntN(8) == 0 {
			continue
		}
		r := store.AccessRule{
			ID: fmt.Sprint("r", i), Everyone: g.IntN(6) == 0, ConnectorIDs: g.some("c", 2), GroupNames: g.some("g", 5), UserNames: g.some("U", 4), Domains: g.some("d", 2),
			Admin: g.IntN(6) == 0, ClusterIDs: g.some("k", clusters), ClusterLabels: g.labels(),
		}
		if g.IntN(8) == 0 {
			r.ClusterIDs = append(r.ClusterIDs, "*")
		}
		rules = append(rules, r)
	}
	return rules
}

func (g generator) installation() installation {
	const clusters, users = 6, 25
	in := installation{Ruleset: access.Ruleset{Rules: g.rules(6, clusters)}}
	for i := range clusters {
		in.Clusters = append(in.Clusters, store.Cluster{ID: fmt.Sprint("k", i), Environment: fmt.Sprint("e", g.IntN(2)), Labels: g.labels()})
	}
	for i := range users {
		name := fmt.Sprint("u", i%7)
		in.users = append(in.users, store.User{
			ID: fmt.Sprint(i), KubeName: name, NameKey: kubenames.Key(name), ConnectorID: fmt.Sprint("c", g.IntN(2)), GroupNames: g.some("g", 5),
			Email: fmt.Sprint("x@D", g.IntN(3)), EmailVerified: g.IntN(2) == 0, Disabled: g.IntN(10) == 0, Refused: store.Instant(g.IntN(10) / 9),
		})
	}
	return in
}

func (in *installation) builder() *accessmap.Builder {
	b := accessmap.NewBuilder(in.Rules, in.Clusters)
	for i := range in.users {
		b.AddUser(&in.users[i])
	}
	return b
}

// reached returns the clusters that a path of the map leads to.
func reached(m *accessmap.Map) map[string]bool {
	ids := map[string]bool{}
	for _, rule := range m.Rules {
		for _, e := range rule.Clusters {
			ids[m.Clusters[e.To].ID] = ids[m.Clusters[e.To].ID] || len(rule.Subjects) > 0
		}
	}
	return ids
}

// TestTheMapAgreesWithDecide compares paths and counts of random installations with the function
// that decides for every token.
func TestTheMapAgreesWithDecide(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(7, 8))}
	paths := 0
	for n := range 100 {
		in := g.installation()
		b := in.builder()
		whole := b.Build(accessmap.Filter{})
		for k := range in.Clusters {
			cluster, may := &in.Clusters[k], 0
			for i := range in.users {
				user := &in.users[i]
				want := access.Decide(in.Rules, user, cluster).Allowed
				for _, f := range []accessmap.Filter{{User: user}, {User: user, Cluster: cluster.ID}, {User: user, Environment: cluster.Environment}} {
					if got := reached(b.Build(f))[cluster.ID]; got != want {
						t.Fatalf("installation %d: the map of %+v leads to %s: %v, decided %v\n%+v", n, user, cluster.ID, got, want, in.Rules)
					}
				}
				if want {
					may++
				}
			}
			paths += may
			if got := b.Cluster(cluster.ID); got != may {
				t.Fatalf("installation %d: %d users of %s, want %d", n, got, cluster.ID, may)
			}
			for _, c := range whole.Clusters {
				if c.ID == cluster.ID && c.Users != may {
					t.Fatalf("installation %d: %d users of %s on the map, want %d", n, c.Users, cluster.ID, may)
				}
			}
		}
		checkRules(t, &in, whole)
	}
	if paths < 1000 {
		t.Errorf("%d users may use a cluster: the test shows little", paths)
	}
}

// checkRules compares the counts of rules, subjects and edges with those of a loop over all users.
func checkRules(t *testing.T, in *installation, m *accessmap.Map) {
	t.Helper()
	anywhere := &store.Cluster{ID: "anywhere"}
	for _, rule := range m.Rules {
		at := slices.IndexFunc(in.Rules, func(r store.AccessRule) bool { return r.ID == rule.ID })
		covers := in.Rules[at]
		covers.ClusterIDs = store.Strings{"*"}
		want, by := 0, map[access.Subject]int{}
		for i := range in.users {
			if !access.Decide([]store.AccessRule{covers}, &in.users[i], anywhere).Allowed {
				continue
			}
			want++
			for _, s := range access.Covering(&covers, &in.users[i]) {
				by[s]++
			}
		}
		if rule.Users != want {
			t.Fatalf("rule %s: %d users, want %d", rule.ID, rule.Users, want)
		}
		for _, e := range rule.Subjects {
			subject := m.Subjects[e.To]
			if e.Users != by[subject.Subject] || subject.Users < e.Users {
				t.Fatalf("rule %s by %+v: %d users, want %d", rule.ID, subject, e.Users, by[subject.Subject])
			}
		}
	}
}

// TestADifferenceAgreesWithTheImpact compares the marks with the maps of before and after.
func TestADifferenceAgreesWithTheImpact(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(9, 10))}
	changes := 0
	for n := range 150 {
		from, to := g.installation(), g.installation()
		to.users = from.users
		if g.IntN(2) == 0 {
			to.Clusters = from.Clusters
		}
		d, impact := accessmap.NewDifference(from.Ruleset, to.Ruleset), access.NewImpact(from.Ruleset, to.Ruleset)
		for i := range from.users {
			d.AddUser(&from.users[i])
			impact.AddUser(&from.users[i])
		}
		m := d.Build(impact.Gained, impact.Lost)
		for id, users := range impact.Gained {
			if at := slices.IndexFunc(m.Clusters, func(c accessmap.Cluster) bool { return c.ID == id }); at < 0 || m.Clusters[at].Gained != users {
				t.Fatalf("difference %d: %d users gain %s, which the map does not show\n%+v", n, users, id, m.Clusters)
			}
			changes++
		}
		for id, users := range impact.Lost {
			if at := slices.IndexFunc(m.Clusters, func(c accessmap.Cluster) bool { return c.ID == id }); at < 0 || m.Clusters[at].Lost != users {
				t.Fatalf("difference %d: %d users lose %s, which the map does not show\n%+v", n, users, id, m.Clusters)
			}
		}
		before, after := from.builder().Build(accessmap.Filter{}), to.builder().Build(accessmap.Filter{})
		for _, rule := range m.Rules {
			checkMarks(t, m, &rule, before, after)
		}
	}
	if changes < 100 {
		t.Errorf("%d changes: the test shows little", changes)
	}
}

func checkMarks(t *testing.T, m *accessmap.Map, rule *accessmap.Rule, before, after *accessmap.Map) {
	t.Helper()
	was, is := ends(before, rule.ID), ends(after, rule.ID)
	got := map[string]accessmap.Mark{"rule": rule.Mark}
	for _, e := range rule.Subjects {
		got[fmt.Sprint(m.Subjects[e.To].Subject)] = e.Mark
	}
	for _, e := range rule.Clusters {
		got[m.Clusters[e.To].ID] = e.Mark
	}
	for end := range got {
		want := accessmap.Same
		switch {
		case is[end] && !was[end]:
			want = accessmap.Added
		case was[end] && !is[end]:
			want = accessmap.Removed
		}
		if got[end] != want {
			t.Fatalf("rule %s to %s: marked %q, want %q", rule.ID, end, got[end], want)
		}
	}
	for _, there := range []map[string]bool{was, is} {
		for end := range there {
			if _, shown := got[end]; !shown {
				t.Fatalf("rule %s: the difference lacks %s", rule.ID, end)
			}
		}
	}
}

// ends returns what a rule of a map leads to.
func ends(m *accessmap.Map, id string) map[string]bool {
	there := map[string]bool{}
	for _, rule := range m.Rules {
		if rule.ID != id {
			continue
		}
		there["rule"] = true
		for _, e := range rule.Subjects {
			there[fmt.Sprint(m.Subjects[e.To].Subject)] = true
		}
		for _, e := range rule.Clusters {
			there[m.Clusters[e.To].ID] = true
		}
	}
	return there
}
