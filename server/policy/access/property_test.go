package access_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// generator makes random worlds, small enough that things meet.
type generator struct{ *rand.Rand }

func (c generator) some(prefix string, n int) store.Strings {
	var list store.Strings
	for i := range n {
		if c.IntN(3) == 0 {
			list = append(list, fmt.Sprint(prefix, i))
		}
	}
	return list
}

func (c generator) labels() store.Labels {
	labels := store.Labels{}
	for _, key := range []string{"env", "team"} {
		if c.IntN(2) == 0 {
			labels[key] = fmt.Sprint(c.IntN(2))
		}
	}
	return labels
}

func (c generator) rules() []store.AccessRule {
	var rules []store.AccessRule
	for i := range c.IntN(5) {
		r := store.AccessRule{
			ID: fmt.Sprint("r", i), Description: fmt.Sprint("rule ", i), Everyone: c.IntN(6) == 0, ConnectorIDs: c.some("c", 2), GroupNames: c.some("g", 4),
			UserNames: c.some("u", 3), Domains: c.some("d", 2), Admin: c.IntN(5) == 0,
		}
		r.Everyone = r.Everyone || len(r.GroupNames)+len(r.UserNames)+len(r.Domains) == 0 // a rule without anybody is refused
		if !r.Admin {
			r.ClusterIDs, r.ClusterLabels = c.some("k", 4), c.labels()
			if c.IntN(8) == 0 {
				r.ClusterIDs = append(r.ClusterIDs, "*")
			}
		}
		rules = append(rules, r)
	}
	return rules
}

func (c generator) clusters() []store.Cluster {
	var list []store.Cluster
	for i := range 4 {
		if c.IntN(4) != 0 {
			list = append(list, store.Cluster{ID: fmt.Sprint("k", i), Labels: c.labels()})
		}
	}
	return list
}

func (c generator) user() store.User {
	name := fmt.Sprint("U", c.IntN(3))
	return store.User{
		ID: name, KubeName: name, NameKey: kubenames.Key(name), ConnectorID: fmt.Sprint("c", c.IntN(2)), GroupNames: c.some("g", 4),
		Email: fmt.Sprint("x@D", c.IntN(2)), EmailVerified: c.IntN(2) == 0, Disabled: c.IntN(10) == 0, Refused: store.Instant(c.IntN(10) / 9),
	}
}

// documentedDecision is what docs/config.md says, written once more and without haste.
func documentedDecision(rules []store.AccessRule, u *store.User, k *store.Cluster) bool {
	for _, r := range rules {
		who := r.Everyone
		for _, n := range r.UserNames {
			who = who || strings.EqualFold(n, u.KubeName)
		}
		for _, g := range r.GroupNames {
			for _, mine := range u.GroupNames {
				who = who || g == mine
			}
		}
		for _, d := range r.Domains {
			who = who || u.EmailVerified && strings.HasSuffix(strings.ToLower(u.Email), "@"+d)
		}
		through := len(r.ConnectorIDs) == 0
		for _, c := range r.ConnectorIDs {
			through = through || c == u.ConnectorID
		}
		what := false
		for _, id := range r.ClusterIDs {
			what = what || id == "*" || id == k.ID
		}
		fits := len(r.ClusterLabels) > 0
		for key, value := range r.ClusterLabels {
			fits = fits && k.Labels[key] == value
		}
		if !r.Admin && who && through && (what || fits) {
			return !u.Disabled && u.Refused == 0
		}
	}
	return false
}

// TestEveryAnswerAgrees asks the same of every function that answers: what decides
// for tokens and pages, the simulator, and the preview of a change.
func TestEveryAnswerAgrees(t *testing.T) {
	t.Parallel()
	c := generator{rand.New(rand.NewPCG(1, 2))}
	for n := range 10_000 {
		before, after := access.Ruleset{Rules: c.rules(), Clusters: c.clusters()}, access.Ruleset{Rules: c.rules(), Clusters: c.clusters()}
		user := c.user()
		was, is := allowed(t, n, &before, &user), allowed(t, n, &after, &user)
		impact := access.NewImpact(before, after)
		impact.AddUser(&user)
		for _, k := range []string{"k0", "k1", "k2", "k3"} {
			gain, lose := impact.Gained[k] == 1, impact.Lost[k] == 1
			if gain != (is[k] && !was[k]) || lose != (was[k] && !is[k]) {
				t.Fatalf("world %d: %s was %v is %v, the preview says gain %v lose %v\n%+v\n%+v\n%+v", n, k, was[k], is[k], gain, lose, before, after, user)
			}
		}
		wasAdmin, isAdmin := access.IsAdmin(before.Rules, &user), access.IsAdmin(after.Rules, &user)
		if (len(impact.NewAdmins) == 1) != (isAdmin && !wasAdmin) || (len(impact.FormerAdmins) == 1) != (wasAdmin && !isAdmin) {
			t.Fatalf("world %d: admin %v %v, the preview says %v %v", n, wasAdmin, isAdmin, impact.NewAdmins, impact.FormerAdmins)
		}
	}
}

func allowed(t *testing.T, n int, w *access.Ruleset, user *store.User) map[string]bool {
	t.Helper()
	yes := map[string]bool{}
	for _, k := range w.Clusters {
		decided, explained := access.Decide(w.Rules, user, &k), access.Explain(w.Rules, user, &k)
		if want := documentedDecision(w.Rules, user, &k); decided.Allowed != want || explained.Allowed != want || explained.Rule != decided.Rule {
			t.Fatalf("world %d, %s: decided %+v, explained %+v, want %v\n%+v\n%+v", n, k.ID, decided, explained, want, w.Rules, user)
		}
		grants := access.Grants(w.Rules, user, &k)
		if (len(grants) > 0) != decided.Allowed || decided.Allowed && grants[0].Rule != decided.Rule {
			t.Fatalf("world %d, %s: decided %+v, the ways are %+v\n%+v\n%+v", n, k.ID, decided, grants, w.Rules, user)
		}
		for _, grant := range grants {
			if grant.By.IsZero() || grant.Group != "" && !slices.Contains(user.GroupNames, grant.Group) {
				t.Fatalf("world %d: %+v\n%+v", n, grant, user)
			}
		}
		for _, near := range explained.NearMisses {
			if near.Missing == "" {
				t.Fatalf("world %d: %s is near and nothing is missing\n%+v\n%+v", n, near.Rule, w.Rules, user)
			}
		}
		if decided.Allowed {
			yes[k.ID] = true
		}
	}
	return yes
}
