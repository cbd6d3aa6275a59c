// Package tokeninfo answers about tokens that were issued: userinfo and
// revocation, a file each.
package tokeninfo

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

// Where the endpoints are, below the issuer.
const (
	UserInfoPath   = "/userinfo"
	RevocationPath = "/revoke"
)

// Handler is the endpoints.
type Handler struct {
	Store   *store.Store
	Clients *clients.Registry
	Bearer  *Bearer
	Audit   *audit.Log
	Now     func() time.Time
	// Authenticate finds and authenticates the client of a request.
	Authenticate func(ctx context.Context, registry *clients.Registry, r *http.Request, params oauth.Params) (*clients.Client, error)
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET(UserInfoPath, h.userInfo)
	g.POST(UserInfoPath, h.userInfo)
	g.POST(RevocationPath, h.revoke)
}
