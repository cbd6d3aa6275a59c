package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Grant is one rule that lets a user use a cluster.
type Grant struct {
	// Rule is the id of the rule, and Description its description.
	Rule, Description string
	// Group is the group that matched, if any. By says what matched, for pages.
	Group string
	By    i18n.Text
}

// Grants lists every rule that lets a user use a cluster, in the order of the rules. The list is empty exactly when
// Decide denies access.
func Grants(rules []store.AccessRule, user *store.User, cluster *store.Cluster) []Grant {
	if user.Disabled {
		return nil
	}
	var list []Grant
	for i := range rules {
		rule := &rules[i]
		if rule.Admin || !matchesCluster(rule, cluster) || !matchesUser(rule, user) {
			continue
		}
		add := func(group string, by i18n.Text) {
			list = append(list, Grant{Rule: rule.ID, Description: rule.Description, Group: group, By: by})
		}
		if rule.Everyone {
			add("", i18n.T("every user who signs in"))
			continue
		}
		if slices.ContainsFunc(rule.UserNames, func(name string) bool { return kubenames.Key(name) == user.NameKey }) {
			add("", i18n.T("your user name"))
		}
		for _, group := range user.GroupNames {
			if slices.Contains(rule.GroupNames, group) {
				add(group, i18n.T("your group %s", group))
			}
		}
		if domain := VerifiedDomain(user); slices.Contains(rule.Domains, domain) {
			add("", i18n.T("your e-mail address at %s", domain))
		}
	}
	return list
}
