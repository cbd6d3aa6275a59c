package access

import (
	"github.com/fairlead-auth/fairlead/internal/i18n"
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
	if user.Blocked() {
		return nil
	}
	var list []Grant
	for i := range rules {
		rule := &rules[i]
		if !Opens(rule, cluster) {
			continue
		}
		for _, s := range Covering(rule, user) {
			grant := Grant{Rule: rule.ID, Description: rule.Description}
			switch s.Kind {
			case SubjectEveryone:
				grant.By = i18n.T("every user who signs in")
			case SubjectUser:
				grant.By = i18n.T("your user name")
			case SubjectGroup:
				grant.Group, grant.By = s.Name, i18n.T("your group %s", s.Name)
			case SubjectDomain:
				grant.By = i18n.T("your e-mail address at %s", s.Name)
			}
			list = append(list, grant)
		}
	}
	return list
}
