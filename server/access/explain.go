package access

import (
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/names"
	"github.com/fairlead-auth/fairlead/server/store"
)

// Explanation is a decision with what almost made it another.
type Explanation struct {
	Decision
	// Near are the rules that cover the cluster, and what the person lacks for each.
	Near []Near
}

// Near is a rule that a person misses.
type Near struct{ Rule, Description, Missing string }

// Explain decides like Decide, and says why not.
func Explain(rules []store.AccessRule, user *store.User, cluster *store.Cluster) Explanation {
	e := Explanation{Decision: Decide(rules, user, cluster)}
	if e.Allowed {
		return e
	}
	for i := range rules {
		rule := &rules[i]
		if rule.Admin || !coversCluster(rule, cluster) || coversUser(rule, user) {
			continue
		}
		e.Near = append(e.Near, Near{Rule: rule.ID, Description: rule.Description, Missing: missing(rule, user)})
	}
	return e
}

// missing says what a person lacks for a rule.
func missing(rule *store.AccessRule, user *store.User) string {
	var parts []string
	if len(rule.ConnectorIDs) > 0 && !slices.Contains(rule.ConnectorIDs, user.ConnectorID) {
		parts = append(parts, "needs to sign in through "+strings.Join(rule.ConnectorIDs, " or "))
	}
	var anyOf []string
	if len(rule.GroupNames) > 0 {
		anyOf = append(anyOf, "the group "+strings.Join(rule.GroupNames, " or "))
	}
	if len(rule.Domains) > 0 {
		anyOf = append(anyOf, "a verified address at "+strings.Join(rule.Domains, " or "))
	}
	if len(rule.UserNames) > 0 {
		anyOf = append(anyOf, "to be "+strings.Join(rule.UserNames, " or "))
	}
	if len(anyOf) > 0 && !rule.Everyone && !covered(rule, user) {
		has := "no groups"
		if len(user.GroupNames) > 0 {
			has = strings.Join(user.GroupNames, ", ")
		}
		parts = append(parts, "needs "+strings.Join(anyOf, ", or ")+"; has "+has)
	}
	return strings.Join(parts, "; ")
}

// Who is somebody who may not exist: for asking what they might do.
type Who struct {
	ConnectorID, Name, Email string
	EmailVerified            bool
	Groups                   []string
}

// User returns them as the rules see people.
func (w Who) User() *store.User {
	return &store.User{
		ConnectorID: w.ConnectorID, KubeName: w.Name, NameKey: names.Key(w.Name), Email: w.Email, EmailVerified: w.EmailVerified, GroupNames: w.Groups,
	}
}

// World is the rules and clusters at one moment.
type World struct {
	Rules    []store.AccessRule
	Clusters []store.Cluster
}

// may returns the clusters that a person may use.
func (w *World) may(user *store.User, only func(id string) bool) map[string]bool {
	mine := map[string]bool{}
	var rules []store.AccessRule
	for i := range w.Rules {
		if rule := &w.Rules[i]; !rule.Admin && coversUser(rule, user) {
			rules = append(rules, *rule)
		}
	}
	for i := range w.Clusters {
		if only(w.Clusters[i].ID) && Decide(rules, user, &w.Clusters[i]).Allowed {
			mine[w.Clusters[i].ID] = true
		}
	}
	return mine
}

// Impact is what a change does to people: who gains and who loses a cluster.
type Impact struct {
	from, to World
	rules    []store.AccessRule
	clusters map[string]bool
	// Gain and Lose count people by cluster; Names are some of them.
	Gain, Lose   map[string]int
	Names        map[string][]string
	Admins, Gone []string
}

// NewImpact compares two worlds. People are added one by one.
func NewImpact(from, to World) *Impact {
	i := &Impact{from: from, to: to, clusters: map[string]bool{}, Gain: map[string]int{}, Lose: map[string]int{}, Names: map[string][]string{}}
	i.rules = append(differing(from.Rules, to.Rules, sameRule), differing(to.Rules, from.Rules, sameRule)...)
	for _, c := range append(differing(from.Clusters, to.Clusters, sameCluster), differing(to.Clusters, from.Clusters, sameCluster)...) {
		i.clusters[c.ID] = true
	}
	return i
}

// Nothing reports that nobody can be affected.
func (i *Impact) Nothing() bool { return len(i.rules) == 0 && len(i.clusters) == 0 }

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
	touched := slices.ContainsFunc(i.rules, func(r store.AccessRule) bool { return coversUser(&r, user) })
	if !touched && len(i.clusters) == 0 {
		return
	}
	if was, is := IsAdmin(i.from.Rules, user), IsAdmin(i.to.Rules, user); is && !was {
		i.Admins = append(i.Admins, user.KubeName)
	} else if was && !is {
		i.Gone = append(i.Gone, user.KubeName)
	}
	only := func(id string) bool { return touched || i.clusters[id] }
	before, after := i.from.may(user, only), i.to.may(user, only)
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
