// Package access evaluates access rules: it decides whether a user may use a cluster. The portal, the authorization
// endpoint and every grant use the same decision.
package access

import (
	"context"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Decision is the result of access rules. Its zero value denies access.
type Decision struct {
	Allowed bool
	// Rule is the id of the rule that allows access.
	Rule string
	// Why describes the rule, or says why no rule applies. Pages show it.
	Why i18n.Text
}

// Decide applies access rules to a user and a cluster. It is a pure function.
func Decide(rules []store.AccessRule, user *store.User, cluster *store.Cluster) Decision {
	if user.Disabled {
		return Decision{Why: i18n.T("The account is disabled.")}
	}
	if user.Refused != 0 {
		return Decision{Why: i18n.T("The identity provider refuses the account.")}
	}
	for i := range rules {
		rule := &rules[i]
		if !rule.Admin && matchesCluster(rule, cluster) && matchesUser(rule, user) {
			return Decision{Allowed: true, Rule: rule.ID, Why: i18n.Verbatim(rule.Description)}
		}
	}
	return Decision{Why: i18n.T("No access rule lets %s use the cluster %s.", user.KubeName, cluster.ID)}
}

// IsAdmin reports whether the user is an admin of Fairlead: by a rule, or because they signed in with a recovery
// account.
func IsAdmin(rules []store.AccessRule, user *store.User) bool {
	if user.ConnectorID == store.RecoveryConnectorID {
		return !user.Blocked()
	}
	return !user.Blocked() && slices.ContainsFunc(rules, func(rule store.AccessRule) bool {
		return rule.Admin && matchesUser(&rule, user)
	})
}

// matchesUser reports whether all conditions of the rule hold: the connector, and a group, user name or domain, or
// everyone.
func matchesUser(rule *store.AccessRule, user *store.User) bool {
	if len(rule.ConnectorIDs) > 0 && !slices.Contains(rule.ConnectorIDs, user.ConnectorID) {
		return false
	}
	return matchesIdentity(rule, user)
}

// matchesIdentity is matchesUser without the connector.
func matchesIdentity(rule *store.AccessRule, user *store.User) bool {
	if rule.Everyone {
		return true
	}
	if slices.ContainsFunc(rule.UserNames, func(name string) bool { return kubenames.Key(name) == user.NameKey }) {
		return true
	}
	if slices.ContainsFunc(rule.GroupNames, func(group string) bool { return slices.Contains(user.GroupNames, group) }) {
		return true
	}
	return slices.Contains(rule.Domains, VerifiedDomain(user))
}

// VerifiedDomain returns the domain of the user's e-mail address if the upstream has verified the address.
// Otherwise it returns a text that no rule can contain.
func VerifiedDomain(user *store.User) string {
	_, domain, found := strings.Cut(user.Email, "@")
	if !user.EmailVerified || !found || domain == "" {
		return "-"
	}
	return strings.ToLower(domain)
}

func matchesCluster(rule *store.AccessRule, cluster *store.Cluster) bool {
	if slices.Contains(rule.ClusterIDs, cluster.ID) || slices.Contains(rule.ClusterIDs, "*") {
		return true
	}
	if len(rule.ClusterLabels) == 0 {
		return false
	}
	for key, value := range rule.ClusterLabels {
		if cluster.Labels[key] != value {
			return false
		}
	}
	return true
}

// Policy evaluates the stored rules.
type Policy struct {
	Store *store.Store
	Audit *audit.Log
}

// Allowed is a cluster that the user may use, and why.
type Allowed struct {
	Cluster store.Cluster
	Decision
}

// Clusters lists the clusters that the user may use.
func (p *Policy) Clusters(ctx context.Context, user *store.User) ([]Allowed, error) {
	catalog, err := p.Store.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	var mine []Allowed
	for _, cluster := range catalog.Clusters {
		if d := Decide(catalog.Rules, user, &cluster); d.Allowed {
			mine = append(mine, Allowed{Cluster: cluster, Decision: d})
		}
	}
	return mine, nil
}

// Authorize decides whether the user may use the cluster. It records a refusal, based on the caller's event, and
// returns it as an error of kind Denied.
func (p *Policy) Authorize(ctx context.Context, user *store.User, cluster *store.Cluster, event audit.Event) (Decision, error) {
	catalog, err := p.Store.Catalog(ctx)
	if err != nil {
		return Decision{}, err
	}
	if cluster, err = catalog.Cluster(cluster.ID); err != nil { // deleted in the meantime
		return Decision{}, err
	}
	d := Decide(catalog.Rules, user, cluster)
	if d.Allowed {
		return d, nil
	}
	event.Name, event.Reason = audit.AccessRefused, "no_access_rule"
	event.UserID, event.UserName, event.ClusterID = user.ID, user.KubeName, cluster.ID
	p.Audit.Record(ctx, event)
	if user.Disabled {
		return d, errs.New(errs.Denied, "The account %s is disabled. Ask an admin to enable it.", user.KubeName)
	}
	return d, errs.New(errs.Denied, "No access rule lets %s use the cluster %s. Ask an admin to add you or one of your groups to an access rule.", user.KubeName, cluster.ID)
}

// IsAdmin reports whether the user is an admin of Fairlead.
func (p *Policy) IsAdmin(ctx context.Context, user *store.User) (bool, error) {
	rules, err := p.Store.Rules(ctx)
	if err != nil {
		return false, err
	}
	return IsAdmin(rules, user), nil
}
