package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Coverage counts the users that each rule covers. It checks only the rules that name one of a user's groups, the
// user or the user's domain, so that counting stays fast with many rules and users.
type Coverage struct {
	// Users is the number of users of each rule, by index.
	Users []int

	rules                  []store.AccessRule
	groups, users, domains map[string][]int
	everyone               []int
}

// NewCoverage prepares counting for rules. AddUser counts the users one by one.
func NewCoverage(rules []store.AccessRule) *Coverage {
	c := &Coverage{Users: make([]int, len(rules)), rules: rules, groups: map[string][]int{}, users: map[string][]int{}, domains: map[string][]int{}}
	for i := range rules {
		if rules[i].Everyone {
			c.everyone = append(c.everyone, i)
			continue
		}
		for _, group := range rules[i].GroupNames {
			c.groups[group] = append(c.groups[group], i)
		}
		for _, name := range rules[i].UserNames {
			c.users[kubenames.Key(name)] = append(c.users[kubenames.Key(name)], i)
		}
		for _, domain := range rules[i].Domains {
			c.domains[domain] = append(c.domains[domain], i)
		}
	}
	return c
}

// AddUser counts a user for each rule that covers them. Disabled users don't count.
func (c *Coverage) AddUser(u *store.User) {
	if u.Disabled {
		return
	}
	candidates := append(slices.Clone(c.everyone), c.users[u.NameKey]...)
	candidates = append(candidates, c.domains[VerifiedDomain(u)]...)
	for _, group := range u.GroupNames {
		candidates = append(candidates, c.groups[group]...)
	}
	slices.Sort(candidates)
	for _, i := range slices.Compact(candidates) {
		if matchesUser(&c.rules[i], u) {
			c.Users[i]++
		}
	}
}

// CountClusters returns how many of the clusters a rule opens.
func CountClusters(rule *store.AccessRule, clusters []store.Cluster) int {
	if rule.Admin {
		return 0
	}
	n := 0
	for i := range clusters {
		if matchesCluster(rule, &clusters[i]) {
			n++
		}
	}
	return n
}
