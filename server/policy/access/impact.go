package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// World is the rules and clusters at one moment.
type World struct {
	Rules    []store.AccessRule
	Clusters []store.Cluster
}

// Impact is what a change does to people: who gains and who loses a cluster.
type Impact struct {
	from, to *index
	nothing  bool
	// Gain and Lose count people by cluster; Names are some of them.
	Gain, Lose map[string]int
	Names      map[string][]string
	// Admins become admins, Gone are admins no more.
	Admins, Gone []string
}

// NewImpact compares two worlds. People are added one by one.
func NewImpact(from, to World) *Impact {
	i := &Impact{Gain: map[string]int{}, Lose: map[string]int{}, Names: map[string][]string{}}
	rules := append(differing(from.Rules, to.Rules, sameRule), differing(to.Rules, from.Rules, sameRule)...)
	clusters := append(differing(from.Clusters, to.Clusters, sameCluster), differing(to.Clusters, from.Clusters, sameCluster)...)
	i.nothing = len(rules)+len(clusters) == 0
	affected := map[string]bool{}
	for _, c := range clusters {
		affected[c.ID] = true
	}
	for _, w := range []World{from, to} {
		for n := range w.Clusters {
			affected[w.Clusters[n].ID] = affected[w.Clusters[n].ID] || slices.ContainsFunc(rules, func(r store.AccessRule) bool { return !r.Admin && coversCluster(&r, &w.Clusters[n]) })
		}
	}
	i.from, i.to = newIndex(from, affected), newIndex(to, affected)
	return i
}

// Nothing reports that nobody can be affected.
func (i *Impact) Nothing() bool { return i.nothing }

// index finds the rules that may cover a person without looking at each: a change
// has to be worked out for everybody who ever signed in.
type index struct {
	rules []store.AccessRule
	// clusters are those affected that a rule covers.
	clusters [][]string
	// By what a rule names a person.
	groups, users, domains map[string][]int
	everyone               []int
	admins                 []store.AccessRule
}

func newIndex(w World, affected map[string]bool) *index {
	x := &index{groups: map[string][]int{}, users: map[string][]int{}, domains: map[string][]int{}}
	for n := range w.Rules {
		rule := &w.Rules[n]
		if rule.Admin {
			x.admins = append(x.admins, *rule)
			continue
		}
		var covered []string
		for k := range w.Clusters {
			if affected[w.Clusters[k].ID] && coversCluster(rule, &w.Clusters[k]) {
				covered = append(covered, w.Clusters[k].ID)
			}
		}
		if covered != nil {
			x.add(rule, covered)
		}
	}
	return x
}

func (x *index) add(rule *store.AccessRule, covered []string) {
	n := len(x.rules)
	x.rules, x.clusters = append(x.rules, *rule), append(x.clusters, covered)
	if rule.Everyone {
		x.everyone = append(x.everyone, n)
		return
	}
	for _, g := range rule.GroupNames {
		x.groups[g] = append(x.groups[g], n)
	}
	for _, u := range rule.UserNames {
		x.users[kubenames.Key(u)] = append(x.users[kubenames.Key(u)], n)
	}
	for _, d := range rule.Domains {
		x.domains[d] = append(x.domains[d], n)
	}
}

// may returns which of the affected clusters a person may use.
func (x *index) may(user *store.User) map[string]bool {
	if user.Disabled {
		return nil
	}
	var mine map[string]bool
	look := func(candidates []int) {
		for _, n := range candidates {
			if !coversUser(&x.rules[n], user) {
				continue
			}
			for _, id := range x.clusters[n] {
				if mine == nil {
					mine = map[string]bool{}
				}
				mine[id] = true
			}
		}
	}
	look(x.everyone)
	look(x.users[user.NameKey])
	look(x.domains[Domain(user)])
	for _, g := range user.GroupNames {
		look(x.groups[g])
	}
	return mine
}

// differing returns the elements of a that b lacks or has otherwise.
func differing[T any](a, b []T, same func(x, y *T) bool) []T {
	var list []T
	for n := range a {
		if !slices.ContainsFunc(b, func(other T) bool { return same(&a[n], &other) }) {
			list = append(list, a[n])
		}
	}
	return list
}

func sameRule(x, y *store.AccessRule) bool {
	return x.ID == y.ID && x.Admin == y.Admin && x.Everyone == y.Everyone && slices.Equal(x.ConnectorIDs, y.ConnectorIDs) && slices.Equal(x.GroupNames, y.GroupNames) &&
		slices.Equal(x.UserNames, y.UserNames) && slices.Equal(x.Domains, y.Domains) && slices.Equal(x.ClusterIDs, y.ClusterIDs) && sameLabels(x.ClusterLabels, y.ClusterLabels)
}

func sameCluster(x, y *store.Cluster) bool { return x.ID == y.ID && sameLabels(x.Labels, y.Labels) }

func sameLabels(a, b store.Labels) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if other, there := b[key]; !there || other != value {
			return false
		}
	}
	return true
}

// maxNames is how many people are named for a cluster.
const maxNames = 10

// Add counts a person.
func (i *Impact) Add(user *store.User) {
	if was, is := IsAdmin(i.from.admins, user), IsAdmin(i.to.admins, user); is && !was {
		i.Admins = append(i.Admins, user.KubeName)
	} else if was && !is {
		i.Gone = append(i.Gone, user.KubeName)
	}
	before, after := i.from.may(user), i.to.may(user)
	for id := range after {
		if !before[id] {
			i.count(i.Gain, id, "+ ", user)
		}
	}
	for id := range before {
		if !after[id] {
			i.count(i.Lose, id, "− ", user)
		}
	}
}

func (i *Impact) count(counts map[string]int, id, mark string, user *store.User) {
	if counts[id]++; counts[id] <= maxNames {
		i.Names[id] = append(i.Names[id], mark+user.KubeName)
	}
}
