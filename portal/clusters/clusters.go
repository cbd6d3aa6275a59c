// Package clusters is the pages about clusters: the list of a person's own, one
// of them with how to use it, and the kubeconfig downloads. It leaves to
// server/policy/access who may use what, and to internal/kubeconfig the file.
package clusters

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/portal/reachability"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/tokenfile"
	"github.com/fairlead-auth/fairlead/server/oidc/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
)

// Handler is the pages.
type Handler struct {
	Guard  *page.Guard
	Store  *store.Store
	Access *access.Policy
	Bearer *tokeninfo.Bearer
	Site   *web.Site
	Audit  *audit.Log
	// ContextPrefix is put in front of each context's name.
	ContextPrefix string
	// IssuerCA is the PEM that API servers need to trust the issuer, or empty.
	IssuerCA string
	// Ready asks whether a cluster that has a status address is ready. Nil means
	// that every cluster is.
	Ready func(ctx context.Context, statusURL string) (ready bool, doing string)
	// Reach knows which API servers answer. Plugins is what can be downloaded.
	Reach   *reachability.Watcher
	Plugins *downloads.List
	// TokenFiles makes tokens that people carry in files.
	TokenFiles *tokenfile.Maker
	// SetupCodes makes codes that sign a computer in; nil where that is off.
	SetupCodes *setupcode.Maker
	// Now tells the time.
	Now func() time.Time
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/", h.Guard.For(h.home))
	g.GET("/access", h.Guard.For(h.access))
	g.GET("/clusters/:id", h.Guard.For(h.cluster))
	g.POST("/clusters/:id/favourite", h.Guard.For(h.favourite))
	g.GET("/kubeconfig", h.Guard.For(h.downloadAll))
	g.GET("/clusters/:id/kubeconfig", h.Guard.For(h.downloadOne))
	g.POST("/clusters/:id/token-file", h.Guard.For(h.tokenFile))
	g.GET(apitypes.ClustersPath, h.list)
}

// doing says what a cluster that isn't ready is busy with.
func (h *Handler) doing(ctx context.Context, c *store.Cluster) string {
	if c.StatusURL == "" || h.Ready == nil {
		return ""
	}
	ready, doing := h.Ready(ctx, c.StatusURL)
	if ready {
		return ""
	}
	return doing
}

// list answers the plugin.
func (h *Handler) list(c echo.Context) error {
	token, user, err := h.Bearer.Authenticate(c.Request())
	if err != nil {
		return writeError(c, err)
	}
	mine, err := h.Access.Clusters(c.Request().Context(), user)
	if err != nil {
		return writeError(c, err)
	}
	answer := apitypes.Clusters{User: user.KubeName, Clusters: []apitypes.Cluster{}}
	if token.DeviceID != "" {
		device, err := h.Store.Device(c.Request().Context(), token.DeviceID)
		if err != nil {
			return writeError(c, err) // its token would have ended with it
		}
		answer.SignInEnds = device.Expires.Time().UTC()
	}
	for _, a := range mine {
		answer.Clusters = append(answer.Clusters, h.wire(&a.Cluster))
	}
	slices.SortFunc(answer.Clusters, func(a, b apitypes.Cluster) int { return strings.Compare(a.Context, b.Context) })
	return c.JSON(http.StatusOK, answer)
}

func (h *Handler) wire(c *store.Cluster) apitypes.Cluster {
	return apitypes.Cluster{
		ID: c.ID, Name: c.Name, Context: h.ContextPrefix + c.ID, Server: c.Server, CA: c.CA, Audience: c.Audience, Namespace: c.Namespace,
		Environment: c.Environment, Labels: c.Labels,
	}
}

// find returns a cluster that the person may use. One that they may not is not
// told apart from one that doesn't exist, and is recorded.
func (h *Handler) find(c echo.Context, current *session.Current) (*store.Cluster, access.Decision, error) {
	ctx := c.Request().Context()
	missing := errs.New(errs.NotFound, "There is no such cluster, or it is not shared with you.")
	cluster, err := h.Store.Cluster(ctx, c.Param("id"))
	if errs.Is(err, errs.NotFound) {
		return nil, access.Decision{}, missing
	}
	if err != nil {
		return nil, access.Decision{}, err
	}
	d, err := h.Access.Authorize(ctx, current.User, cluster, audit.Event{SignInID: current.SignIn.ID, Address: c.RealIP()})
	if errs.Is(err, errs.Denied) {
		return nil, access.Decision{}, missing
	}
	return cluster, d, err
}
