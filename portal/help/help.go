// Package help is the page that says how to get kubectl working.
package help

import (
	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/session"
	"github.com/fairlead-auth/fairlead/server/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler is the page.
type Handler struct {
	Sessions *session.Manager
	Site     *web.Site
	Contact  string
}

// Data is the page.
type Data struct {
	Login   string
	Contact string
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
	view := web.View[Data]{
		Page: Page(), Title: "Help", Data: Data{Login: "kubectl fairlead login " + h.Site.Absolute(""), Contact: h.Site.Live().Contact},
	}
	if current != nil {
		view.Person = page.Person(current)
	}
	return web.Render(c, h.Site, view)
}
