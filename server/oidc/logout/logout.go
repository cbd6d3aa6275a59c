// Package logout serves the sign-out pages and the end-session endpoint (OpenID Connect RP-Initiated Logout). It
// ends the browser's session only: devices, such as kubectl on another computer, stay signed in.
package logout

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
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

// ConfirmPage asks the user to confirm the sign-out.
func ConfirmPage() templates.Page[NoData] { return templates.Define[NoData]("login/signout") }

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
	return web.Render(c, h.Site, web.View[NoData]{Page: ConfirmPage(), Title: i18n.T("Sign out")})
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
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/signed-out"))
}

func (h *Handler) signedOut(c echo.Context) error {
	return web.Render(c, h.Site, web.View[NoData]{Page: SignedOutPage(), Title: i18n.T("Signed out")})
}
