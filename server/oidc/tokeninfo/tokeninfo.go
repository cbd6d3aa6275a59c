// Package tokeninfo serves the endpoints about issued tokens: userinfo (OpenID
// Connect Core section 5.3), introspection (RFC 7662) and revocation (RFC 7009).
package tokeninfo

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// The paths of the endpoints, below the issuer.
const (
	UserInfoPath   = "/userinfo"
	RevocationPath = "/revoke"
	IntrospectPath = "/introspect"
)

// Handler serves the endpoints.
type Handler struct {
	Store  *store.Store
	Auth   *clientauth.Authenticator
	Bearer *Bearer
	Audit  *audit.Log
	Now    func() time.Time
	// Issuer is the iss of introspection responses.
	Issuer string
}

// authenticateClient returns the authenticated client of a request, and the form.
func (h *Handler) authenticateClient(c echo.Context) (*clients.Client, oauth.Params, error) {
	params, err := oauth.ParseForm(c.Response(), c.Request())
	if err != nil {
		return nil, nil, err
	}
	client, err := h.Auth.Authenticate(c.Request().Context(), clientauth.Request{HTTP: c.Request(), Params: params, Address: c.RealIP()})
	if err != nil {
		return nil, nil, err
	}
	if params["token"] == "" {
		return nil, nil, oauth.Errorf(oauth.InvalidRequest, "The token parameter is missing. Add it to the form.")
	}
	return client, params, nil
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET(UserInfoPath, h.userInfo)
	g.POST(UserInfoPath, h.userInfo)
	g.POST(RevocationPath, h.revoke)
	g.POST(IntrospectPath, h.introspect)
}
