// Package admin serves the admin pages, one file for each. Package server/admin does the work and checks the rights
// of the admin.
package admin

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/portal/page"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler is the pages.
type Handler struct {
	Guard *page.Guard
	Admin *ops.Admin
	Site  *web.Site
	Types map[string]connectors.Type
	Now   func() time.Time
	// Keyring encrypts the secrets of a form that is not saved yet.
	Keyring *secret.Keyring
	// CallbackURL is where the upstream of a connector sends the browser back to.
	CallbackURL func(id string) string
	// Leave sends the browser to the upstream of a test sign-in.
	Leave func(c echo.Context, row *store.Connector, opened connectors.Connector, test string) error
	// IssuerCA is the PEM that API servers need to trust the issuer, or empty.
	IssuerCA string
	// Probe looks at a cluster's API server.
	Probe func(ctx context.Context, cluster *store.Cluster) Health
	// Effective is the configuration of the process, for diagnostics, without
	// secrets.
	Effective string
}

// handler is a page for an admin.
type handler func(c echo.Context, r *request) error

// request is one request of an admin.
type request struct {
	current *session.Current
	caller  ops.Caller
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	for _, mount := range []func(func(method, path string, handle handler)){
		h.mountOverview, h.mountConnectors, h.mountEntries, h.mountClusters, h.mountAccess, h.mountPeople, h.mountKeys, h.mountAudit, h.mountRecordings, h.mountHistory,
		h.mountTokens, h.mountTransfer, h.mountSearch, h.mountOtherLists, h.mountBulk, h.mountMap,
	} {
		mount(func(method, path string, handle handler) { g.Add(method, "/admin"+path, h.enter(handle)) })
	}
}

// enter lets admins in. The operations decide once more, each for itself; this
// keeps pages from being shown at all.
func (h *Handler) enter(handle handler) echo.HandlerFunc {
	return h.Guard.For(func(c echo.Context, current *session.Current) error {
		r := &request{current: current, caller: ops.Caller{User: current.User, SignIn: current.SignIn, Address: c.RealIP()}}
		if err := h.Admin.CheckPageAccess(c.Request().Context(), r.caller, c.Request().Method+" "+c.Path()); err != nil {
			return err
		}
		return handle(c, r)
	})
}

// show renders a page of an admin.
func show[T any](h *Handler, c echo.Context, r *request, v web.View[T]) error {
	v.Person = page.Person(r.current)
	v.Nav = h.nav(c.Request().Context(), r.caller, strings.TrimPrefix(c.Request().URL.Path, h.Site.Path("/admin")))
	if v.Toast == nil && c.Request().Method == http.MethodGet {
		v.Toast = h.toast(c)
	}
	if h.Admin.ReadOnly {
		v.Notes = append(v.Notes, "These pages are read-only: the configuration file manages all settings (ui.readOnly). Change them in the file.")
	}
	return web.Render(c, h.Site, v)
}

// to sends the browser to another admin page.
func (h *Handler) to(c echo.Context, path string) error {
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/admin"+path))
}

// done sends the browser on with a word about what was done.
func (h *Handler) done(c echo.Context, path, what string) error {
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return h.to(c, path+mark+"done="+url.QueryEscape(what))
}

// toast is what the last act did: a page must not show a text that an address made up.
func (h *Handler) toast(c echo.Context) *templates.Toast {
	done := c.QueryParam("done")
	if n, err := strconv.Atoi(c.QueryParam("n")); done == "bulk" && err == nil {
		return &templates.Toast{Text: bulkDone(ops.BulkAct(c.QueryParam("act")), n)}
	}
	text := map[string]string{
		"saved": "Saved.", "deleted": "Deleted.", "enabled": "Enabled. Users can sign in with it now.", "disabled": "Disabled. Users can no longer sign in with it.",
		"moved": "Moved.", "restored": "Restored.", "confirmed": "Confirmed. The change stays.", "rolled-back": "The change was undone.", "signed-out": "Signed out.",
		"key-revoked": "Key revoked. Its tokens are no longer valid.", "person-off": "Disabled. All sessions and tokens of the user have ended.", "person-on": "Enabled. The user can sign in again.",
		"rotating": "The next key starts to sign as soon as all clusters and clients can have read it.", "removed": "Removed.", "imported": "Imported.",
	}[done]
	if text == "" {
		return nil
	}
	toast := &templates.Toast{Text: text}
	if id := c.QueryParam("undo"); revisionID.MatchString(id) {
		toast.UndoPath = h.Site.Path("/admin/history/" + id + "/undo")
	}
	return toast
}

// revisionID is what the id of a revision looks like.
var revisionID = regexp.MustCompile(`^rev_[a-z0-9]{1,40}$`)
