package clusters

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/portal/reachability"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/templates"
)

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
	Seen reachability.Seen
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
	Login        page.Block
	// Coded is the same with a code in it, where that is on; its text is a secret.
	Coded page.Block
	// CodeLife is how long the code is good.
	CodeLife time.Duration
	// Try shows that it works.
	Try       page.Block
	Groups    []string
	User      string
	Connector string
	Contact   string
	// Nothing says that none was chosen to download.
	Nothing bool
}

// HomePage is the list of clusters.
func HomePage() templates.Page[HomeData] { return templates.Define[HomeData]("portal/home") }

func (h *Handler) home(c echo.Context, current *session.Current) error {
	rows, err := h.rows(c.Request().Context(), current.User)
	if err != nil {
		return err
	}
	data := HomeData{
		Query:  strings.TrimSpace(c.QueryParam("q")),
		Groups: current.User.GroupNames, User: current.User.KubeName, Connector: current.User.ConnectorID, Contact: h.Site.Live().Contact,
		Nothing: c.QueryParam("none") != "",
	}
	if len(rows) > 0 {
		if err := h.setUp(c, current, rows[0].ID, &data); err != nil {
			return err
		}
	}
	view := web.View[HomeData]{Page: HomePage(), Title: i18n.T("Your clusters"), Person: page.Person(current)}
	if data.fill(rows) {
		view.Refresh = 5
	}
	view.Data = data
	return web.Render(c, h.Site, view)
}

// setUp says how a computer is set up; a cluster shows that it works.
func (h *Handler) setUp(c echo.Context, current *session.Current, cluster string, data *HomeData) error {
	data.Login, data.Try, data.Systems = h.loginCommand(), tryCommand(h.ContextPrefix+cluster), h.Plugins.Systems(c.Request().UserAgent())
	if h.SetupCodes == nil {
		return nil
	}
	code, err := h.SetupCodes.Make(c.Request().Context(), current)
	data.Coded, data.CodeLife = page.Block{Label: data.Login.Label, Text: data.Login.Text + " --code " + code.Reveal()}, setupcode.Lifetime
	return err
}

// fill takes the rows that match, and reports whether one is still being started.
func (d *HomeData) fill(rows []Row) (waiting bool) {
	d.Total, d.Search = len(rows), len(rows) >= filterFrom
	for _, row := range rows {
		if !matches(row, d.Query) {
			continue
		}
		waiting = waiting || row.Doing != ""
		d.States = d.States || row.Doing != "" || row.Ready || !row.Seen.Last.IsZero()
		d.Uses = d.Uses || !row.Used.IsZero()
		d.Rows = append(d.Rows, row)
	}
	return waiting
}

// rows are the clusters that a person may use: what they have marked comes first.
func (h *Handler) rows(ctx context.Context, user *store.User) ([]Row, error) {
	mine, err := h.Access.Clusters(ctx, user)
	if err != nil {
		return nil, err
	}
	own, err := h.Store.UserClusters(ctx, user.ID)
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
