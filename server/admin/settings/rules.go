package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

func (r *Reader) ruleRows(set store.Settings) []store.AccessRule {
	var rows []store.AccessRule
	seen := ids{r: r}
	for i, e := range r.in.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		seen.check(path+".id", e.ID)
		if !e.Who.Everyone && len(e.Who.Groups)+len(e.Who.Users)+len(e.Who.Domains) == 0 {
			r.Doc.Add(path+".who", "must select users: enter groups, users or email domains, or choose everyone")
		}
		r.checkRule(path, &e)
		for j, id := range e.Clusters.IDs {
			if id != "*" && !slices.ContainsFunc(set.Clusters, func(row store.Cluster) bool { return row.ID == id }) {
				r.Doc.Add(fmt.Sprintf("%s.clusters.ids[%d]", path, j), "must name existing clusters: there is no cluster %q", id)
			}
		}
		for j, id := range e.Who.Connectors {
			if !slices.ContainsFunc(r.in.Connectors, func(row Connector) bool { return row.ID == id }) {
				r.Doc.Add(fmt.Sprintf("%s.who.connectors[%d]", path, j), "must name existing connectors: there is no connector %q", id)
			}
		}
		rows = append(rows, store.AccessRule{
			ID: e.ID, Position: i, Description: orElse(e.Description, "Rule "+e.ID), Everyone: e.Who.Everyone,
			ConnectorIDs: e.Who.Connectors, GroupNames: e.Who.Groups, UserNames: e.Who.Users, Domains: lower(e.Who.Domains), Admin: e.Admin,
			ClusterIDs: e.Clusters.IDs, ClusterLabels: e.Clusters.Labels, Origin: r.Origin(path),
		})
	}
	return rows
}

// adminRows returns the admin rule of the "admins" key. Its id cannot collide with another one, because it is not a
// valid slug.
func (r *Reader) adminRows() []store.AccessRule {
	if len(r.in.Admins.Groups) == 0 && len(r.in.Admins.Users) == 0 {
		return nil
	}
	return []store.AccessRule{{
		ID: "admins of the file", Description: "Admins", Admin: true, GroupNames: r.in.Admins.Groups, UserNames: r.in.Admins.Users, Origin: r.Origin("admins"),
	}}
}

func (r *Reader) checkRule(path string, e *Rule) {
	switch none := len(e.Clusters.IDs) == 0 && len(e.Clusters.Labels) == 0; {
	case e.Admin && !none:
		r.Doc.Add(path+".clusters", "must be empty in a rule that makes admins. Create one rule for admins and one for clusters")
	case e.Admin && e.Who.Everyone:
		r.Doc.Add(path+".who.everyone", "must be off in a rule that makes admins: it would make every user an admin. Enter groups or users")
	case !e.Admin && none:
		r.Doc.Add(path+".clusters", "must select clusters: enter cluster IDs or labels")
	}
	for i, domain := range e.Who.Domains {
		if !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@* /") {
			r.Doc.Add(fmt.Sprintf("%s.who.domains[%d]", path, i), "must be a domain such as example.com, not %q", domain)
		}
	}
}

func lower(list []string) []string {
	out := make([]string, 0, len(list))
	for _, text := range list {
		out = append(out, strings.ToLower(text))
	}
	return out
}
