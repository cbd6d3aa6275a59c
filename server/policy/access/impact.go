package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Ruleset is a set of rules and clusters.
type Ruleset struct {
	Rules    []store.AccessRule
	Clusters []store.Cluster
}

// Impact says which users gain and lose which clusters by a change.
type Impact struct {
	from, to *ruleIndex
	empty    bool
	// Gained and Lost count users by cluster, with some of their names.
	Gained, Lost map[string]int
	Examples     map[string][]string
	// NewAdmins become admins. LostAdmins are no longer admins.
	NewAdmins, FormerAdmins []string
}

// NewImpact compares two rulesets. Call AddUser for each user.
func NewImpact(from, to Ruleset) *Impact {
	i := &Impact{Gained: map[string]int{}, Lost: map[string]int{}, Examples: map[string][]string{}}
	rules := append(differing(from.Rules, to.Rules, sameRule), differing(to.Rules, from.Rules, sameRule)...)
	clusters := append(differing(from.Clusters, to.Clusters, sameCluster), differing(to.Clusters, from.Clusters, sameCluster)...)
	i.empty = len(rules)+len(clusters) == 0
	affected := map[string]bool{}
	for _, c := range clusters {
		affected[c.ID] = true
	}
	for _, w := range []Ruleset{from, to} {
		for n := range w.Clusters {
			affected[w.Clusters[n].ID] = affected[w.Clusters[n].ID] || slices.ContainsFunc(rules, func(r store.AccessRule) bool { return !r.Admin && matchesCluster(&r, &w.Clusters[n]) })
		}
	}
	i.from, i.to = newRuleIndex(from, affected), newRuleIndex(to, affected)
	return i
}

// Empty reports that the change cannot affect any user.
func (i *Impact) Empty() bool { return i.empty }

// ruleIndex finds the rules that may cover a user without checking each rule, because an impact counts all users.
type ruleIndex struct {
	rules []store.AccessRule
	// clusters are the affected clusters of each rule.
	clusters [][]string
	// The indexes of the rules by the condition that they name.
	groups, users, domains map[string][]int
	everyone               []int
	admins                 []store.AccessRule
}

func newRuleIndex(w Ruleset, affected map[string]bool) *ruleIndex {
	x := &ruleIndex{groups: map[string][]int{}, users: map[string][]int{}, domains: map[string][]int{}}
	for n := range w.Rules {
		rule := &w.Rules[n]
		if rule.Admin {
			x.admins = append(x.admins, *rule)
			continue
		}
		var covered []string
		for k := range w.Clusters {
			if affected[w.Clusters[k].ID] && matchesCluster(rule, &w.Clusters[k]) {
				covered = append(covered, w.Clusters[k].ID)
			}
		}
		if covered != nil {
			x.add(rule, covered)
		}
	}
	return x
}

func (x *ruleIndex) add(rule *store.AccessRule, covered []string) {
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

// clustersOf returns the affected clusters that a user may use.
func (x *ruleIndex) clustersOf(user *store.User) map[string]bool {
	if user.Blocked() {
		return nil
	}
	var mine map[string]bool
	look := func(candidates []int) {
		for _, n := range candidates {
			if !matchesUser(&x.rules[n], user) {
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
	look(x.domains[VerifiedDomain(user)])
	for _, g := range user.GroupNames {
		look(x.groups[g])
	}
	return mine
}

// differing returns the elements of a that b lacks or that differ in b.
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

// maxExamples is the number of user names that an impact lists for a cluster.
const maxExamples = 10

// AddUser counts a user.
func (i *Impact) AddUser(user *store.User) {
	if was, is := IsAdmin(i.from.admins, user), IsAdmin(i.to.admins, user); is && !was {
		i.NewAdmins = append(i.NewAdmins, user.KubeName)
	} else if was && !is {
		i.FormerAdmins = append(i.FormerAdmins, user.KubeName)
	}
	before, after := i.from.clustersOf(user), i.to.clustersOf(user)
	for id := range after {
		if !before[id] {
			i.countUser(i.Gained, id, "+ ", user)
		}
	}
	for id := range before {
		if !after[id] {
			i.countUser(i.Lost, id, "− ", user)
		}
	}
}

func (i *Impact) countUser(counts map[string]int, id, mark string, user *store.User) {
	if counts[id]++; counts[id] <= maxExamples {
		i.Examples[id] = append(i.Examples[id], mark+user.KubeName)
	}
}
