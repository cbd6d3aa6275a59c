package workloads

import (
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Path is where the page is.
const Path = apitypes.WorkloadsPath

// Handler is the page.
type Handler struct {
	Guard  *page.Guard
	Access *access.Policy
	Site   *web.Site
	// ContextPrefix: see clusters.Handler. Plugins is what can be downloaded.
	ContextPrefix string
	Plugins       *downloads.List
}

// Data is the page.
type Data struct {
	// Clusters are those to choose from.
	Clusters []Choice
	Examples []Example
	// Kubeconfig is where that of the chosen cluster is.
	Kubeconfig string
}

// Choice is a cluster to choose.
type Choice struct {
	ID, Name string
	Here     bool
}

// Page is the page for programs.
func Page() templates.Page[Data] { return templates.Define[Data]("portal/workloads") }

// Mount adds the route.
func (h *Handler) Mount(g *echo.Group) { g.GET(Path, h.Guard.For(h.show)) }

func (h *Handler) show(c echo.Context, current *session.Current) error {
	mine, err := h.Access.Clusters(c.Request().Context(), current.User)
	if err != nil {
		return err
	}
	data := Data{}
	chosen := max(0, slices.IndexFunc(mine, func(a access.Allowed) bool { return a.Cluster.ID == c.QueryParam("cluster") }))
	for i, a := range mine {
		data.Clusters = append(data.Clusters, Choice{ID: a.Cluster.ID, Name: a.Cluster.Name, Here: i == chosen})
	}
	if len(mine) > 0 {
		cluster := mine[chosen].Cluster
		data.Kubeconfig = h.Site.Path("/clusters/" + cluster.ID + "/kubeconfig")
		linux := h.Plugins.Systems("")[0]
		data.Examples, err = Examples(Target{
			Cluster: apitypes.Cluster{ID: cluster.ID, Context: h.ContextPrefix + cluster.ID, Server: cluster.Server, CA: cluster.CA},
			Server:  h.Site.Absolute(""), Install: linux.Install,
		})
		if err != nil {
			return err
		}
	}
	return web.Render(c, h.Site, web.View[Data]{Page: Page(), Title: i18n.T("Workloads"), Data: data, Person: page.Person(current)})
}
