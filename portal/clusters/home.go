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
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/templates"
)

// Row is a cluster in the list.
type Row struct {
	ID, Name, Description, Environment, Color string
	Why                                       i18n.Text
	URL, Context                              string
	Labels                                    []string
	State                                     State
	// Favourite is set when the user has starred the cluster. Used is when the user last got a
	// token for it; zero for never.
	Favourite bool
	Used      time.Time

	cluster *store.Cluster
}

// State is what is known about a cluster's API server. At most one of Starting, Ready and Seen says
// something.
type State struct {
	// Starting is what the cluster's status address says it is busy with; Ready is set when that
	// address says that the cluster is ready.
	Starting string
	Ready    bool
	// Seen is the last attempt to reach the API server.
	Seen reachability.Seen
}

// Known reports whether there is anything to show.
func (s State) Known() bool { return s.Starting != "" || s.Ready || !s.Seen.Last.IsZero() }

// Computer is the device that the user used last, and how many others are signed in.
type Computer struct {
	Name     string
	Others   int
	LastUsed time.Time
}

// HomeData is the data of the landing page.
type HomeData struct {
	Rows []Row
	// Total is how many clusters the user may use, Matching how many of these the filter matches.
	Total, Matching int
	Filter          Filter
	// Search is set when the list is long enough for a search box.
	Search bool
	// States and Uses say whether any row has something to show in these columns.
	States, Uses bool
	// Prev and Next are the addresses of the other pages; empty when there are none.
	Prev, Next  string
	Page, Pages int
	// Computer is nil as long as no device is signed in.
	Computer *Computer
	Systems  []downloads.System
	Login    page.Block
	// Coded is the sign-in command with a setup code, when setup codes are enabled. Its text is a
	// secret. CodeLife is how long the code is valid.
	Coded    page.Block
	CodeLife time.Duration
	// Try is a command that shows whether the sign-in worked.
	Try                      page.Block
	Groups                   []string
	User, Connector, Contact string
	// NoneChosen is set when the user asked for a download without choosing a cluster.
	NoneChosen bool
}

// HomePage is the landing page.
func HomePage() templates.Page[HomeData] { return templates.Define[HomeData]("portal/home") }

func (h *Handler) home(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	rows, err := h.rows(ctx, current.User)
	if err != nil {
		return err
	}
	data := HomeData{
		Total: len(rows), Search: len(rows) >= searchFrom, Filter: newFilter(c.QueryParams(), rows, h.Site.Path("/")),
		Groups: current.User.GroupNames, User: current.User.KubeName, Connector: current.User.ConnectorID, Contact: h.Site.RuntimeSettings().Contact,
		NoneChosen: c.QueryParam("none") != "",
	}
	if len(rows) > 0 {
		if err := h.addSetup(c, current, rows[0].Context, &data); err != nil {
			return err
		}
	}
	data.addRows(rows)
	h.addStates(ctx, data.Rows)
	view := web.View[HomeData]{Page: HomePage(), Title: i18n.T("Clusters"), Person: page.Person(current)}
	for _, row := range data.Rows {
		data.States, data.Uses = data.States || row.State.Known(), data.Uses || !row.Used.IsZero()
		if row.State.Starting != "" {
			view.Refresh = 5
		}
	}
	view.Data = data
	return web.Render(c, h.Site, view)
}

// addSetup adds how a computer is set up. The context is one that the user can try.
func (h *Handler) addSetup(c echo.Context, current *session.Current, context string, data *HomeData) error {
	data.Login, data.Try, data.Systems = h.loginCommand(), tryCommand(context), h.Plugins.Systems(c.Request().UserAgent())
	var err error
	if data.Computer, err = h.computer(c.Request().Context(), current.User.ID); err != nil || h.SetupCodes == nil {
		return err
	}
	code, err := h.SetupCodes.Make(c.Request().Context(), current)
	data.Coded, data.CodeLife = page.Block{Label: data.Login.Label, Text: data.Login.Text + " --code " + code.Reveal()}, setupcode.Lifetime
	return err
}

// computer returns the device that the user used last, or nil.
func (h *Handler) computer(ctx context.Context, userID string) (*Computer, error) {
	devices, err := h.Store.Devices(ctx, userID, h.Now())
	devices = slices.DeleteFunc(devices, func(d store.Device) bool { return d.ClientID != clients.PluginID })
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	return &Computer{Name: devices[0].Host, Others: len(devices) - 1, LastUsed: devices[0].LastUsed.Time()}, nil
}

// addRows adds the rows of the page that the filter asks for.
func (d *HomeData) addRows(rows []Row) {
	matching := slices.DeleteFunc(slices.Clone(rows), func(row Row) bool { return !d.Filter.matches(row) })
	d.Matching = len(matching)
	d.Pages = max(1, (len(matching)+pageSize-1)/pageSize)
	d.Page = min(max(d.Filter.page, 1), d.Pages)
	d.Rows = matching[(d.Page-1)*pageSize : min(d.Page*pageSize, len(matching))]
	if d.Page > 1 {
		d.Prev = d.Filter.pageURL(d.Page - 1)
	}
	if d.Page < d.Pages {
		d.Next = d.Filter.pageURL(d.Page + 1)
	}
}

// rows returns the clusters that the user may use, without their states. Favourites come first.
func (h *Handler) rows(ctx context.Context, user *store.User) ([]Row, error) {
	mine, err := h.Access.Clusters(ctx, user)
	if err != nil {
		return nil, err
	}
	own, err := h.Store.UserClusters(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(mine))
	for i, a := range mine {
		rows[i] = h.row(a)
		rows[i].cluster, rows[i].Favourite, rows[i].Used = &mine[i].Cluster, own[a.Cluster.ID].Favourite, own[a.Cluster.ID].Used.Time()
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

func (h *Handler) row(a access.Allowed) Row {
	c := &a.Cluster
	return Row{
		ID: c.ID, Name: c.Name, Description: c.Description, Environment: c.Environment, Color: c.Color, Context: h.ContextPrefix + c.ID,
		Labels: labels(c.Labels), Why: a.Why, URL: h.Site.Path("/clusters/" + c.ID),
	}
}

// addStates adds the state of each row's cluster.
func (h *Handler) addStates(ctx context.Context, rows []Row) {
	clusters := make([]*store.Cluster, len(rows))
	for i, row := range rows {
		clusters[i] = row.cluster
	}
	states := h.states(ctx, clusters)
	for i, row := range rows {
		rows[i].State = states[row.ID]
	}
}

// states returns what is known of each cluster, by its id. A cluster with a status address is asked
// there; the others have their API server contacted.
func (h *Handler) states(ctx context.Context, clusters []*store.Cluster) map[string]State {
	states := make(map[string]State, len(clusters))
	var contact []*store.Cluster
	for _, c := range clusters {
		if c.StatusURL == "" {
			contact = append(contact, c)
			continue
		}
		starting := h.starting(ctx, c)
		states[c.ID] = State{Starting: starting, Ready: starting == ""}
	}
	for id, seen := range h.Reach.Last(ctx, contact) {
		states[id] = State{Seen: seen}
	}
	return states
}

// favourite stars a cluster, or removes the star.
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

// labels returns a cluster's labels as kubectl writes them, sorted.
func labels(of store.Labels) []string {
	var list []string
	for key, value := range of {
		list = append(list, key+"="+value)
	}
	slices.SortFunc(list, strings.Compare)
	return list
}
