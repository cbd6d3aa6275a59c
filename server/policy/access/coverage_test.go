package access_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// TestCoverageAgreesWithDecide counts users for random rules, and compares the counts with
// those of the function that decides.
func TestCoverageAgreesWithDecide(t *testing.T) {
	t.Parallel()
	c := rand.New(rand.NewPCG(5, 6))
	some := func(prefix string, n int) store.Strings {
		var list store.Strings
		for i := range n {
			if c.IntN(n) == 0 {
				list = append(list, fmt.Sprint(prefix, i))
			}
		}
		return list
	}
	cluster := store.Cluster{ID: "k"}
	total := 0
	for range 300 {
		var rules []store.AccessRule
		for range 5 {
			rules = append(rules, store.AccessRule{
				Everyone: c.IntN(6) == 0, ConnectorIDs: some("c", 3), GroupNames: some("g", 5), UserNames: some("U", 4), Domains: some("d", 3), ClusterIDs: store.Strings{"k"},
			})
		}
		coverage, want := access.NewCoverage(rules), make([]int, len(rules))
		for n := range 20 {
			u := store.User{
				ConnectorID: fmt.Sprint("c", c.IntN(3)), NameKey: fmt.Sprint("u", c.IntN(6)), Email: fmt.Sprint("x@d", c.IntN(4)), EmailVerified: c.IntN(2) == 0,
				GroupNames: some("g", 5), Disabled: n%7 == 0,
			}
			coverage.AddUser(&u)
			for i := range rules {
				if access.Decide(rules[i:i+1], &u, &cluster).Allowed {
					want[i]++
					total++
				}
			}
		}
		if !slices.Equal(coverage.Users, want) {
			t.Fatalf("%v, want %v for %+v", coverage.Users, want, rules)
		}
	}
	if total < 100 {
		t.Errorf("%d users were covered: the test shows little", total)
	}
	rule := store.AccessRule{ClusterLabels: store.Labels{"env": "prod"}}
	clusters := []store.Cluster{{ID: "a", Labels: store.Labels{"env": "prod"}}, {ID: "b"}}
	if n := access.CountClusters(&rule, clusters); n != 1 {
		t.Errorf("%d clusters, want 1", n)
	}
	rule.Admin = true
	if n := access.CountClusters(&rule, clusters); n != 0 {
		t.Errorf("an admin rule opens %d clusters", n)
	}
}
