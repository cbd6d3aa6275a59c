package clusters

import (
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

// AccessData is what a person may do, and why.
type AccessData struct {
	User, Connector, Contact string
	Rows                     []AccessRow
	// Groups are the person's own, Idle those that open nothing.
	Groups, Idle []string
	// Asked is a cluster that the person misses. Nothing says whether it exists.
	Asked, AskedURL string
	Allowed         bool
}

// AccessRow is a cluster, and each way in which the person may use it.
type AccessRow struct {
	ID, Name, URL string
	Grants        []access.Grant
}

// AccessPage is what a person may do, and why.
func AccessPage() templates.Page[AccessData] { return templates.Define[AccessData]("portal/access") }

// access shows it.
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
		User: user.KubeName, Connector: user.ConnectorID, Contact: h.Site.Live().Contact, Groups: user.GroupNames, Asked: strings.TrimSpace(c.QueryParam("cluster")),
	}
	data.Rows = h.accessRows(rules, all, user)
	used := map[string]bool{}
	for _, row := range data.Rows {
		for _, grant := range row.Grants {
			used[grant.Group] = true
		}
		if strings.EqualFold(row.ID, data.Asked) || strings.EqualFold(row.Name, data.Asked) {
			data.Allowed, data.AskedURL = true, row.URL
		}
	}
	data.Idle = slices.DeleteFunc(slices.Clone(data.Groups), func(group string) bool { return used[group] })
	return web.Render(c, h.Site, web.View[AccessData]{Page: AccessPage(), Title: i18n.T("My access"), Data: data, Person: page.Person(current)})
}

func (h *Handler) accessRows(rules []store.AccessRule, all []store.Cluster, user *store.User) []AccessRow {
	var rows []AccessRow
	for i := range all {
		if grants := access.Grants(rules, user, &all[i]); len(grants) > 0 {
			rows = append(rows, AccessRow{ID: all[i].ID, Name: all[i].Name, URL: h.Site.Path("/clusters/" + all[i].ID), Grants: grants})
		}
	}
	return rows
}
