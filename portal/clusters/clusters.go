// Package clusters is the pages about clusters: the list of a person's own, one
// of them with how to use it, and the kubeconfig downloads. It leaves to
// server/access who may use what, and to internal/kubeconfig the file.
package clusters

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/wire"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/portal/reach"
	"github.com/fairlead-auth/fairlead/server/access"
	"github.com/fairlead-auth/fairlead/server/flow"
	"github.com/fairlead-auth/fairlead/server/session"
	"github.com/fairlead-auth/fairlead/server/setupcode"
	"github.com/fairlead-auth/fairlead/server/store"
	"github.com/fairlead-auth/fairlead/server/tokenfile"
	"github.com/fairlead-auth/fairlead/server/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/web"
	"github.com/fairlead-auth/fairlead/templates"
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
	Reach   *reach.Watcher
	Plugins *downloads.List
	// TokenFiles makes tokens that people carry in files.
	TokenFiles *tokenfile.Maker
	// SetupCodes makes codes that sign a computer in; nil where that is off.
	SetupCodes *setupcode.Maker
	// Now tells the time.
	Now func() time.Time
}

// filterFrom is from how many rows on there is a search box.
const filterFrom = 8

// Row is a cluster in the list.
type Row struct {
	ID, Name, Description, Environment, Doing string
	Why                                       i18n.Text
	URL                                       string
	Labels                                    []string
	// Ready says that the cluster has a status address that said so.
	Ready bool
	// Seen is whether its API server answers.
	Seen reach.Seen
	// Favourite says that the person has marked it; Used is when they last got a token for it.
	Favourite bool
	Used      time.Time
}

// HomeData is the list.
type HomeData struct {
	Rows   []Row
	Total  int
	Query  string
	Search bool
	// States says that there is something to show about how clusters are.
	States, Uses bool
	Systems      []downloads.System
	Login        Block
	// Coded is the same with a code in it, where that is on; its text is a secret.
	Coded Block
	// CodeLife is how long the code is good.
	CodeLife time.Duration
	// Try shows that it works.
	Try       Block
	Groups    []string
	User      string
	Connector string
	Contact   string
	// Nothing says that none was chosen to download.
	Nothing bool
}

// HomePage is the list of clusters.
func HomePage() templates.Page[HomeData] { return templates.Define[HomeData]("portal/home") }

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/", h.Guard.For(h.home))
	g.GET("/access", h.Guard.For(h.access))
	g.GET("/clusters/:id", h.Guard.For(h.cluster))
	g.POST("/clusters/:id/favourite", h.Guard.For(h.favourite))
	g.GET("/kubeconfig", h.Guard.For(h.downloadAll))
	g.GET("/clusters/:id/kubeconfig", h.Guard.For(h.downloadOne))
	g.POST("/clusters/:id/token-file", h.Guard.For(h.tokenFile))
	g.GET(wire.ClustersPath, h.list)
}

func (h *Handler) home(c echo.Context, current *session.Current) error {
	rows, err := h.rows(c.Request().Context(), current.User)
	if err != nil {
		return err
	}
	data := HomeData{
		Total: len(rows), Query: strings.TrimSpace(c.QueryParam("q")), Search: len(rows) >= filterFrom,
		Groups: current.User.GroupNames, User: current.User.KubeName, Connector: current.User.ConnectorID, Contact: h.Site.Live().Contact,
		Login: h.loginCommand(), Nothing: c.QueryParam("none") != "",
		Systems: h.Plugins.Systems(c.Request().UserAgent()),
	}
	if len(rows) > 0 {
		data.Try = tryCommand(h.ContextPrefix + rows[0].ID)
	}
	if len(rows) > 0 && h.SetupCodes != nil {
		code, err := h.SetupCodes.Make(c.Request().Context(), current)
		if err != nil {
			return err
		}
		data.Coded, data.CodeLife = Block{data.Login.Label, data.Login.Text + " --code " + code.Reveal()}, setupcode.Life
	}
	waiting := false
	for _, row := range rows {
		if !matches(row, data.Query) {
			continue
		}
		waiting = waiting || row.Doing != ""
		data.States = data.States || row.Doing != "" || row.Ready || !row.Seen.Last.IsZero()
		data.Uses = data.Uses || !row.Used.IsZero()
		data.Rows = append(data.Rows, row)
	}
	view := web.View[HomeData]{Page: HomePage(), Title: i18n.T("Your clusters"), Data: data, Person: page.Person(current)}
	if waiting {
		view.Refresh = 5
	}
	return web.Render(c, h.Site, view)
}

// rows are the clusters that a person may use: what they have marked comes first.
func (h *Handler) rows(ctx context.Context, user *store.User) ([]Row, error) {
	mine, err := h.Access.Clusters(ctx, user)
	if err != nil {
		return nil, err
	}
	own, err := h.Store.PersonClusters(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	var look []*store.Cluster
	for i := range mine {
		if mine[i].Cluster.StatusURL == "" {
			look = append(look, &mine[i].Cluster)
		}
	}
	seen := h.Reach.Last(ctx, look)
	rows := make([]Row, len(mine))
	for i, a := range mine {
		rows[i] = h.row(ctx, a)
		rows[i].Seen, rows[i].Favourite, rows[i].Used = seen[a.Cluster.ID], own[a.Cluster.ID].Favourite, own[a.Cluster.ID].Used.Time()
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return rank(a) - rank(b) })
	return rows, nil
}

func rank(row Row) int {
	if row.Favourite {
		return 0
	}
	return 1
}

func (h *Handler) row(ctx context.Context, a access.Allowed) Row {
	doing := h.doing(ctx, &a.Cluster)
	return Row{
		ID: a.Cluster.ID, Name: a.Cluster.Name, Description: a.Cluster.Description, Environment: a.Cluster.Environment,
		Labels: labels(a.Cluster.Labels), Why: a.Why, Doing: doing, Ready: a.Cluster.StatusURL != "" && doing == "", URL: h.Site.Path("/clusters/" + a.Cluster.ID),
	}
}

// favourite marks a cluster, or takes the mark away.
func (h *Handler) favourite(c echo.Context, current *session.Current) error {
	cluster, _, err := h.find(c, current)
	if err != nil {
		return err
	}
	if err := h.Store.SetFavourite(c.Request().Context(), current.User.ID, cluster.ID, c.FormValue("favourite") == "yes"); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path(flow.LocalPath(c.FormValue("back"))))
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

// labels are what admins sort clusters by, as kubectl writes them.
func labels(of store.Labels) []string {
	var list []string
	for key, value := range of {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return list
}

func matches(row Row, query string) bool {
	text := strings.ToLower(row.ID + " " + row.Name + " " + row.Description + " " + row.Environment + " " + strings.Join(row.Labels, " "))
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// list answers the plugin.
func (h *Handler) list(c echo.Context) error {
	token, user, err := h.Bearer.Person(c.Request())
	if err != nil {
		return writeError(c, err)
	}
	mine, err := h.Access.Clusters(c.Request().Context(), user)
	if err != nil {
		return writeError(c, err)
	}
	answer := wire.Clusters{User: user.KubeName, Clusters: []wire.Cluster{}}
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
	slices.SortFunc(answer.Clusters, func(a, b wire.Cluster) int { return strings.Compare(a.Context, b.Context) })
	return c.JSON(http.StatusOK, answer)
}

func (h *Handler) wire(c *store.Cluster) wire.Cluster {
	return wire.Cluster{
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
	d, err := h.Access.Use(ctx, current.User, cluster, audit.Event{SignInID: current.SignIn.ID, Address: c.RealIP()})
	if errs.Is(err, errs.Denied) {
		return nil, access.Decision{}, missing
	}
	return cluster, d, err
}
