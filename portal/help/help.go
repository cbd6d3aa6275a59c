// Package help is the page that says how to get kubectl working.
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

// Handler is the page.
type Handler struct {
	Sessions *session.Manager
	Site     *web.Site
	// Plugins is what can be downloaded.
	Plugins *downloads.List
}

// Data is the page.
type Data struct {
	Login   string
	Contact string
	Systems []downloads.System
	// Sums is where the digests of all downloads are; empty without any.
	Sums string
}

// Page is the help page.
func Page() templates.Page[Data] { return templates.Define[Data]("portal/help") }

// Mount adds the route. Help is for everybody.
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
