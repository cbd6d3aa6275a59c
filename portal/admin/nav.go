package admin

import (
	"context"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// navigation is the groups beside the admin pages. Paths are below /admin.
func navigation(c ops.Counts) []templates.NavGroup {
	link := func(label, path string, counts ...int64) templates.Link {
		l := templates.Link{Label: label, Path: path}
		if len(counts) > 0 {
			l.Count = thousands(counts[0])
		}
		return l
	}
	waiting := func(l templates.Link, n int) templates.Link {
		l.Waiting = n
		return l
	}
	kind := func(name string, count int64) templates.Link {
		k, _ := settings.KindOf(name)
		return link(k.Many, "/"+k.Path, count)
	}
	general, _ := settings.KindOf(settings.General)
	return []templates.NavGroup{
		{Links: []templates.Link{link("Overview", "")}},
		{Title: "Access", Links: []templates.Link{link("People", "/people", c.People), link("Groups", "/groups"), kind(settings.Rules, c.Rules), link("Access map", "/access-map"), link("Check access", "/simulator")}},
		{Title: "Clusters and clients", Links: []templates.Link{
			kind(settings.Clusters, c.Clusters), waiting(link("Proxies", "/proxies", c.Proxies), c.SilentProxies), kind(settings.Clients, c.Clients), kind(settings.Workloads, c.Workloads), kind(settings.Issuers, c.Issuers),
		}},
		{Title: "Sign-in", Links: []templates.Link{
			waiting(kind(settings.Connectors, c.Connectors), c.FailingConnectors), kind(settings.LocalUsers, c.LocalUsers), link("Keys", "/keys"), link("Recovery accounts", "/recovery"),
		}},
		{Title: "Activity", Links: []templates.Link{link("Audit log", "/audit"), link("Recordings", "/recordings", c.Recordings), waiting(link("Changes", "/history"), int(c.Trials))}},
		{Title: "System", Links: []templates.Link{
			link("Settings", "/"+general.Path), link("API tokens", "/tokens"), link("Import and export", "/transfer"), link("Diagnostics", "/diagnostics"),
		}},
	}
}

// thousands writes a count with separators; nothing for zero.
func thousands(n int64) string {
	if n == 0 {
		return ""
	}
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// nav returns the navigation with the page at here, a path below /admin, marked. The counts are
// left out when they can't be read: the page says what is wrong.
func (h *Handler) nav(ctx context.Context, caller ops.Caller, here string) []templates.NavGroup {
	counts, err := h.Admin.Counts(ctx, caller)
	if err != nil {
		counts = ops.Counts{}
	}
	groups := navigation(counts)
	for g := range groups {
		links := groups[g].Links
		for i := range links {
			path := links[i].Path
			links[i].Here = here == path || path != "" && strings.HasPrefix(here, path+"/")
			links[i].Path = h.Site.Path("/admin" + path)
		}
	}
	return groups
}

// Nav returns the navigation for an error page below /admin, and nothing for another page.
func (h *Handler) Nav(c echo.Context, current *session.Current) []templates.NavGroup {
	here, below := strings.CutPrefix(c.Request().URL.Path, h.Site.Path("/admin"))
	if !below || !current.Admin {
		return nil
	}
	return h.nav(c.Request().Context(), ops.Caller{User: current.User, SignIn: current.SignIn, Address: c.RealIP()}, here)
}
