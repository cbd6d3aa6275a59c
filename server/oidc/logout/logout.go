// Package logout serves the sign-out pages and the end-session endpoint (OpenID Connect RP-Initiated Logout). It
// ends the browser's session only: devices, such as kubectl on another computer, stay signed in.
package logout

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the pages.
type Handler struct {
	Sessions *session.Manager
	Clients  *clients.Registry
	Issuer   *issuer.Issuer
	Site     *web.Site
}

// NoData is the data of a page without data.
type NoData struct{}

// Confirmation is where the user goes after the sign-out: an address of an application, or nowhere.
type Confirmation struct {
	ClientID, ClientName, PostLogoutURI, State string
}

// ConfirmPage asks the user to confirm the sign-out.
func ConfirmPage() templates.Page[Confirmation] {
	return templates.Define[Confirmation]("login/signout")
}

// SignedOutPage says which session has ended and which devices stay signed in.
func SignedOutPage() templates.Page[NoData] { return templates.Define[NoData]("login/signedout") }

// Mount adds the routes. Signing out is a POST, so that an image on another site cannot trigger it.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/sign-out", h.confirm)
	g.POST("/sign-out", h.signOut)
	g.GET("/signed-out", h.signedOut)
	g.GET(EndSessionPath, h.endSession)
	g.POST(EndSessionPath, h.endSession)
}

func (h *Handler) confirm(c echo.Context) error {
	return h.ask(c, Confirmation{})
}

func (h *Handler) ask(c echo.Context, to Confirmation) error {
	return web.Render(c, h.Site, web.View[Confirmation]{Page: ConfirmPage(), Title: i18n.T("Sign out"), Data: to})
}

func (h *Handler) signOut(c echo.Context) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current != nil {
		if err := h.Sessions.End(c.Response(), c.Request(), current); err != nil {
			return err
		}
	}
	// The form came back from the browser, so the address is checked once more.
	uri := c.FormValue("post_logout_redirect_uri")
	client, err := h.client(c, c.FormValue("client_id"))
	if err != nil {
		return err
	}
	if client == nil || !slices.Contains(client.PostLogoutURIs, uri) {
		uri = ""
	}
	return h.leave(c, uri, c.FormValue("state"))
}

// leave redirects to the application, or to the page that says that the session has ended.
func (h *Handler) leave(c echo.Context, uri, state string) error {
	if uri == "" {
		return c.Redirect(http.StatusSeeOther, h.Site.Path("/signed-out"))
	}
	return c.Redirect(http.StatusSeeOther, oauth.RedirectURL(uri, map[string]string{"state": state}))
}

// client returns a client, or nil without one of that id.
func (h *Handler) client(c echo.Context, id string) (*clients.Client, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // the request names no client, and nothing has failed
	}
	client, err := h.Clients.Find(c.Request().Context(), id)
	if errs.Is(err, errs.NotFound) {
		return nil, nil //nolint:nilnil // see above
	}
	return client, err
}

func (h *Handler) signedOut(c echo.Context) error {
	return web.Render(c, h.Site, web.View[NoData]{Page: SignedOutPage(), Title: i18n.T("Signed out")})
}
