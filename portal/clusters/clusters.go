// Package clusters serves the portal's cluster pages: the landing page with the clusters that a
// user may use, the page of one cluster, the page that explains access, and kubeconfig downloads.
// It also serves the cluster list that the kubectl plugin reads.
//
// Package server/policy/access decides who may use a cluster, and internal/kubeconfig renders the
// files.
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
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/tokenfile"
	"github.com/fairlead-auth/fairlead/server/oidc/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
)

// Handler serves the pages. All fields are required unless they say otherwise.
type Handler struct {
	Guard  *page.Guard
	Store  *store.Store
	Access *access.Policy
	Bearer *tokeninfo.Bearer
	Site   *web.Site
	Audit  *audit.Log
	// ContextPrefix precedes the cluster id in the name of each kubectl context.
	ContextPrefix string
	// IssuerCA is the PEM certificate that API servers need to trust the issuer; empty when the
	// issuer has a public certificate.
	IssuerCA string
	// Ready asks a status address whether its cluster is ready, and what it is doing if not. When it
	// is nil every cluster counts as ready.
	Ready func(ctx context.Context, statusURL string) (ready bool, doing string)
	// Reach checks which API servers can be reached. Plugins are the plugin files for download.
	Reach   *reachability.Watcher
	Plugins *downloads.List
	// TokenFiles issues tokens for kubeconfig files that need no plugin.
	TokenFiles *tokenfile.Maker
	// SetupCodes issues one-time codes that sign a computer in; nil when they are disabled.
	SetupCodes *setupcode.Maker
	Now        func() time.Time
}

// Mount adds the routes of the pages.
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

// starting returns what a cluster that is not ready is doing; empty when it is ready.
func (h *Handler) starting(ctx context.Context, c *store.Cluster) string {
	if c.StatusURL == "" || h.Ready == nil {
		return ""
	}
	ready, doing := h.Ready(ctx, c.StatusURL)
	if ready {
		return ""
	}
	return doing
}

// list serves the cluster list for the kubectl plugin.
func (h *Handler) list(c echo.Context) error {
	token, user, err := h.Bearer.Authenticate(c.Request())
	if err != nil {
		return writeError(c, err)
	}
	may, err := clients.NewRegistry(h.Store).MayUseClusters(c.Request().Context(), token)
	if err == nil && !may {
		err = oauth.Errorf(oauth.InvalidToken, "This application may not see the clusters of the user. Use kubectl-fairlead.")
	}
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
			return writeError(c, err) // a missing device is a fault: its token would have been revoked
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

// find returns the cluster of the request if the user may use it. A denied request is recorded and
// answered like one for a cluster that does not exist.
func (h *Handler) find(c echo.Context, current *session.Current) (*store.Cluster, access.Decision, error) {
	ctx := c.Request().Context()
	missing := errs.New(errs.NotFound, "This cluster does not exist, or no access rule lets you use it. Check the address, or ask an admin for access.")
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
