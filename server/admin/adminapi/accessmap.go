package adminapi

import (
	"strconv"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// AccessMap is a page of the access map. Users are counted with the groups of their last sign-in.
type AccessMap struct {
	Rules []MapRule `json:"rules"`
	// Subjects and Clusters are those of the rules on this page.
	Subjects []MapSubject `json:"subjects"`
	Clusters []MapCluster `json:"clusters"`
	// Total is how many rules there are on all pages.
	Total int `json:"total"`
	Page  int `json:"page"`
	Pages int `json:"pages"`
}

// MapRule is a rule on the access map. Users is how many users it covers.
type MapRule struct {
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	// Connectors are those that its users must come through; none means any.
	Connectors []string     `json:"connectors,omitempty"`
	Users      int          `json:"users"`
	Subjects   []MapSubject `json:"subjects"`
	Clusters   []string     `json:"clusters"`
}

// MapSubject is what a rule names users by. In a rule, Users is how many users it covers by the
// subject; else it is how many users the subject includes.
type MapSubject struct {
	// Kind is everyone, user, group or domain.
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Users int    `json:"users"`
}

// MapCluster is a cluster on the access map. Users is how many users may use it, by any rule.
type MapCluster struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Environment string `json:"environment,omitempty"`
	Users       int    `json:"users"`
}

func accessMap(h *Handler, r *call) (any, error) {
	q := admin.MapQuery{Text: r.QueryParam("q"), User: r.QueryParam("user"), Rule: r.QueryParam("rule"), Cluster: r.QueryParam("cluster"), Environment: r.QueryParam("environment")}
	q.Page, _ = strconv.Atoi(r.QueryParam("page")) // anything else is the first
	if group := r.QueryParam("group"); group != "" {
		q.Subject = access.Subject{Kind: access.SubjectGroup, Name: group}
	} else if domain := r.QueryParam("domain"); domain != "" {
		q.Subject = access.Subject{Kind: access.SubjectDomain, Name: domain}
	}
	m, err := h.Admin.AccessMap(r.Request().Context(), r.caller, q)
	if err != nil {
		return nil, err
	}
	out := AccessMap{Rules: []MapRule{}, Subjects: []MapSubject{}, Clusters: []MapCluster{}, Total: m.Total, Page: m.Page, Pages: m.Pages}
	for i := range m.Subjects {
		s := &m.Subjects[i]
		out.Subjects = append(out.Subjects, MapSubject{string(s.Kind), s.Name, s.Users})
	}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		out.Clusters = append(out.Clusters, MapCluster{c.ID, c.Name, c.Environment, c.Users})
	}
	for i := range m.Rules {
		rule := MapRule{ID: m.Rules[i].ID, Description: m.Rules[i].Description, Connectors: m.Rules[i].ConnectorIDs, Users: m.Rules[i].Users, Subjects: []MapSubject{}, Clusters: []string{}}
		for _, e := range m.Rules[i].Subjects {
			rule.Subjects = append(rule.Subjects, MapSubject{out.Subjects[e.To].Kind, out.Subjects[e.To].Name, e.Users})
		}
		for _, e := range m.Rules[i].Clusters {
			rule.Clusters = append(rule.Clusters, m.Clusters[e.To].ID)
		}
		out.Rules = append(out.Rules, rule)
	}
	return out, nil
}
