// Package help is the page that says how to get kubectl working.
package help

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/session"
	"github.com/fairlead-auth/fairlead/server/web"
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
	Systems []System
	// Sums is where the digests of all downloads are; empty without any.
	Sums string
}

// System is how to install the plugin on one.
type System struct {
	// ID is as Go calls it, Name as people do.
	ID, Name string
	// Here says that the browser is on one.
	Here    bool
	Install string
	Files   []Download
}

// Download is the plugin for one kind of computer.
type Download struct{ Label, Size, SHA256, URL string }

// Page is the help page.
func Page() templates.Page[Data] { return templates.Define[Data]("portal/help") }

// Mount adds the route. Help is for everybody.
func (h *Handler) Mount(g *echo.Group) { g.GET("/help", h.show) }

func (h *Handler) show(c echo.Context) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	data := Data{Login: "kubectl fairlead login " + h.Site.Absolute(""), Contact: h.Site.Live().Contact, Systems: h.systems(c.Request().UserAgent())}
	if len(h.Plugins.Files) > 0 {
		data.Sums = h.Site.Path(downloads.SumsPath)
	}
	view := web.View[Data]{Page: Page(), Title: i18n.T("Help"), Data: data}
	if current != nil {
		view.Person = page.Person(current)
	}
	return web.Render(c, h.Site, view)
}

// systems are those that there is a plugin for, or all three with the way from source.
func (h *Handler) systems(agent string) []System {
	here := system(agent)
	var list []System
	for _, s := range []System{{ID: "linux", Name: "Linux"}, {ID: "darwin", Name: "macOS"}, {ID: "windows", Name: "Windows"}} {
		files := h.Plugins.Of(s.ID)
		s.Here = s.ID == here
		if len(files) == 0 {
			s.Install = "go install github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead@latest"
		} else {
			s.Install = h.Plugins.Install(files[0])
		}
		for _, f := range files {
			s.Files = append(s.Files, Download{Label: f.Label(), Size: f.Megabytes(), SHA256: f.SHA256, URL: h.Plugins.URL(f)})
		}
		list = append(list, s)
	}
	return list
}

// system is that of a browser; Linux when it does not say.
func system(agent string) string {
	switch {
	case strings.Contains(agent, "Windows"):
		return "windows"
	case strings.Contains(agent, "Mac OS") && !strings.Contains(agent, "like Mac OS"):
		return "darwin"
	}
	return "linux"
}
