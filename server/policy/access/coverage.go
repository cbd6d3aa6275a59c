package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Coverage counts the users that each rule covers. It checks only the rules that name one of a user's groups, the
// user or the user's domain, so that counting stays fast with many rules and users.
type Coverage struct {
	// Users is the number of users of each rule, by index.
	Users []int

	rules []store.AccessRule
	// named are the indices of the rules that name a subject.
	named map[Subject][]int
}

// NewCoverage prepares counting for rules. AddUser counts the users one by one.
func NewCoverage(rules []store.AccessRule) *Coverage {
	c := &Coverage{Users: make([]int, len(rules)), rules: rules, named: map[Subject][]int{}}
	for i := range rules {
		for _, s := range Subjects(&rules[i]) {
			c.named[s] = append(c.named[s], i)
		}
	}
	return c
}

// AddUser counts a user for each rule that covers them. Disabled users don't count.
func (c *Coverage) AddUser(u *store.User) {
	for _, i := range c.Covering(u) {
		c.Users[i]++
	}
}

// Covering returns the indices of the rules that cover a user, in order; none for a blocked user.
func (c *Coverage) Covering(u *store.User) []int {
	if u.Blocked() {
		return nil
	}
	var candidates []int
	for _, s := range SubjectsOf(u) {
		candidates = append(candidates, c.named[s]...)
	}
	slices.Sort(candidates)
	return slices.DeleteFunc(slices.Compact(candidates), func(i int) bool { return !matchesUser(&c.rules[i], u) })
}

// CountClusters returns how many of the clusters a rule opens.
func CountClusters(rule *store.AccessRule, clusters []store.Cluster) int {
	n := 0
	for i := range clusters {
		if Opens(rule, &clusters[i]) {
			n++
		}
	}
	return n
}
