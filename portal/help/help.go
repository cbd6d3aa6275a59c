// Package help serves the help page, which explains how to set up kubectl.
package help

import (
	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the help page.
type Handler struct {
	Sessions *session.Manager
	Site     *web.Site
	// Plugins are the files for download.
	Plugins *downloads.List
}

// Data is the data of the help page.
type Data struct {
	Login   string
	Contact string
	Systems []downloads.System
	// Sums is the path of the list of digests; empty when there are no files.
	Sums string
}

// Page is the help page.
func Page() templates.Page[Data] { return templates.Define[Data]("portal/help") }

// Mount adds the route. The page needs no session.
func (h *Handler) Mount(g *echo.Group) { g.GET("/help", h.show) }

func (h *Handler) show(c echo.Context) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	data := Data{Login: "kubectl fairlead login " + h.Site.Absolute(""), Contact: h.Site.RuntimeSettings().Contact, Systems: h.Plugins.Systems(c.Request().UserAgent())}
	if len(h.Plugins.Files) > 0 {
		data.Sums = h.Site.Path(downloads.SumsPath)
	}
	view := web.View[Data]{Page: Page(), Title: i18n.T("Help"), Data: data}
	if current != nil {
		view.Person = page.Person(current)
	}
	return web.Render(c, h.Site, view)
}
