package clusters

import (
	"cmp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// shownClusters is how many clusters a grant shows before the rest is folded away.
const shownClusters = 12

// AccessData is the data of the page "My access".
type AccessData struct {
	User, Connector, Contact string
	Grants                   []AccessGrant
	// Groups are the user's groups. Unused are those of them that no access rule for clusters names.
	Groups, Unused []string
	// Asked is the name or id of a cluster that the user misses. Allowed and AskedURL are set when
	// the user may use it. The page does not reveal whether a cluster exists that the user may not use.
	Asked, AskedURL string
	Allowed         bool
}

// AccessGrant is one reason why the user may use clusters: an access rule, and what it matches by.
type AccessGrant struct {
	access.Grant
	// Clusters are the first ones, More the rest.
	Clusters, More []AccessCluster
}

// AccessCluster is a cluster that a grant lets the user use.
type AccessCluster struct{ Name, URL string }

// AccessPage is the page "My access".
func AccessPage() templates.Page[AccessData] { return templates.Define[AccessData]("portal/access") }

func (h *Handler) access(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	rules, err := h.Store.Rules(ctx)
	if err != nil {
		return err
	}
	all, err := h.Store.Clusters(ctx)
	if err != nil {
		return err
	}
	user := current.User
	data := AccessData{
		User: user.KubeName, Connector: user.ConnectorID, Contact: h.Site.RuntimeSettings().Contact, Groups: user.GroupNames, Asked: strings.TrimSpace(c.QueryParam("cluster")),
	}
	data.Grants = h.grants(rules, all, user)
	used := map[string]bool{}
	for _, grant := range data.Grants {
		used[grant.Group] = true
	}
	data.Unused = slices.DeleteFunc(slices.Clone(data.Groups), func(group string) bool { return used[group] })
	for i := range all {
		asked := strings.EqualFold(all[i].ID, data.Asked) || strings.EqualFold(all[i].Name, data.Asked)
		if asked && len(access.Grants(rules, user, &all[i])) > 0 {
			data.Allowed, data.AskedURL = true, h.Site.Path("/clusters/"+all[i].ID)
		}
	}
	return web.Render(c, h.Site, web.View[AccessData]{
		Page: AccessPage(), Title: i18n.T("My access"), Data: data, Person: page.Person(current), Crumbs: h.crumbs(c, h.Site.Language(c).Say(i18n.T("My access"))),
	})
}

// grants returns the reasons why the user may use clusters, in the order of the rules.
func (h *Handler) grants(rules []store.AccessRule, all []store.Cluster, user *store.User) []AccessGrant {
	var list []AccessGrant
	for i := range all {
		cluster := AccessCluster{Name: all[i].Name, URL: h.Site.Path("/clusters/" + all[i].ID)}
		for _, grant := range access.Grants(rules, user, &all[i]) {
			at := slices.IndexFunc(list, func(g AccessGrant) bool { return g.Rule == grant.Rule && g.By.String() == grant.By.String() })
			if at < 0 {
				list, at = append(list, AccessGrant{Grant: grant}), len(list)
			}
			if len(list[at].Clusters) < shownClusters {
				list[at].Clusters = append(list[at].Clusters, cluster)
			} else {
				list[at].More = append(list[at].More, cluster)
			}
		}
	}
	place := map[string]int{}
	for i := range rules {
		place[rules[i].ID] = i
	}
	slices.SortStableFunc(list, func(a, b AccessGrant) int { return cmp.Compare(place[a.Rule], place[b.Rule]) })
	return list
}
