package access

import (
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Explanation is a decision with the rules that nearly applied.
type Explanation struct {
	Decision
	// NearMisses are rules for the cluster that do not cover the user, with the missing conditions.
	NearMisses []NearMiss
}

// NearMiss is a rule that does not cover the user, and why.
type NearMiss struct{ Rule, Description, Missing string }

// Explain decides like Decide, and lists the near misses.
func Explain(rules []store.AccessRule, user *store.User, cluster *store.Cluster) Explanation {
	e := Explanation{Decision: Decide(rules, user, cluster)}
	if e.Allowed {
		return e
	}
	for i := range rules {
		rule := &rules[i]
		if rule.Admin || !matchesCluster(rule, cluster) || matchesUser(rule, user) {
			continue
		}
		e.NearMisses = append(e.NearMisses, NearMiss{Rule: rule.ID, Description: rule.Description, Missing: missing(rule, user)})
	}
	return e
}

// missing says which condition of a rule does not hold.
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
	if len(anyOf) > 0 && !rule.Everyone && !matchesIdentity(rule, user) {
		has := "no groups"
		if len(user.GroupNames) > 0 {
			has = strings.Join(user.GroupNames, ", ")
		}
		parts = append(parts, "needs "+strings.Join(anyOf, ", or ")+"; has "+has)
	}
	return strings.Join(parts, "; ")
}

// HypotheticalUser describes a user who may not exist, for previews.
type HypotheticalUser struct {
	ConnectorID, Name, Email string
	EmailVerified            bool
	Groups                   []string
}

// User returns the user as access rules see it.
func (w HypotheticalUser) User() *store.User {
	return &store.User{
		ConnectorID: w.ConnectorID, KubeName: w.Name, NameKey: kubenames.Key(w.Name), Email: w.Email, EmailVerified: w.EmailVerified, GroupNames: w.Groups,
	}
}
