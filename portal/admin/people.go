package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/page"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountPeople(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/people", h.people)
	add(http.MethodGet, "/people/:id", func(c echo.Context, r *request) error { return h.person(c, r, "") })
	add(http.MethodPost, "/people/:id/revoke", h.revokePerson)
	add(http.MethodGet, "/people/:id/remove", h.askRemovePerson)
	add(http.MethodPost, "/people/:id/remove", h.removePerson)
	add(http.MethodGet, "/connectors/:id/retired/:act", h.askRetired)
	add(http.MethodPost, "/connectors/:id/retired/:act", h.actOnRetired)
	add(http.MethodGet, "/people/:id/factors/:factor/remove", h.askRemoveFactor)
	add(http.MethodPost, "/people/:id/factors/:factor/remove", func(c echo.Context, r *request) error {
		return h.afterPerson(c, r, "removed", h.Admin.RemoveFactor(c.Request().Context(), r.caller, c.Param("id"), c.Param("factor")))
	})
}

// inactiveAfter is after what time without a sign-in a user counts as inactive.
const inactiveAfter = 90 * 24 * time.Hour

// people shows the users who have signed in.
func (h *Handler) people(c echo.Context, r *request) error {
	ctx, w := c.Request().Context(), wanted(c)
	query := store.UserList{
		Text: w.query, ConnectorID: w.values.Get("connector"), Group: w.values.Get("group"), State: w.state, Sort: w.sort,
		InactiveBefore: store.At(h.Now().Add(-inactiveAfter)), Offset: (w.page - 1) * ops.PageSize, Limit: ops.PageSize,
	}
	found, err := h.Admin.ListUsers(ctx, r.caller, query)
	if err != nil {
		return err
	}
	connectors, err := h.Admin.Connectors(ctx, r.caller)
	if err != nil {
		return err
	}
	data := ListData{
		Title: "People", About: "Users who have signed in, and workloads that got a token.", Total: int(found.Total), Bulk: h.bulk(ops.BulkPeople, "/people"),
		Columns: []ListColumn{
			{Label: "State"}, {Label: "Name", key: store.SortName}, {Label: "Email", key: store.SortEmail}, {Label: "Connector", key: store.SortConnector},
			{Label: "Groups"}, {Label: "Sessions"}, {Label: "Last sign-in", key: store.SortLastSignIn},
		},
		Empty: ListEmpty{Title: "No user has signed in yet", Text: "A user appears here after the first sign-in. Connect your identity provider, then send your users the address of this server.", Action: &templates.Link{Label: "Connectors", Path: h.Site.Path("/admin/connectors")}},
	}
	for i := range found.Users {
		data.Rows = append(data.Rows, h.personRow(&found.Users[i], found.Sessions[found.Users[i].ID]))
	}
	counts, all := map[string]int{}, 0
	for state, n := range found.States {
		counts[state] = int(n)
		all += int(n)
	}
	data.states(w, counts, all, map[string]string{store.UserActive: "Active", store.UserInactive: "No sign-in for 90 days", store.UserDisabled: "Disabled"})
	data.pages(w, query.Offset)
	if len(connectors) > 1 {
		data.Filters = []ListFilter{connectorFilter(connectors, query.ConnectorID)}
	}
	if query.Group != "" {
		data.Kept = append(data.Kept, ListKept{"group", query.Group})
		data.About = "Users with the group " + query.Group + "."
	}
	return h.showList(c, r, w, data)
}

func connectorFilter(connectors []ops.ConnectorInfo, chosen string) ListFilter {
	filter := ListFilter{Name: "connector", Label: "Connector", Options: []ListOption{{Label: "All connectors"}}}
	for _, connector := range connectors {
		filter.Options = append(filter.Options, ListOption{Value: connector.ID, Label: connector.Name, Chosen: connector.ID == chosen})
	}
	return filter
}

func (h *Handler) personRow(u *store.User, sessions int) ListRow {
	row := ListRow{
		ID: u.ID, Name: u.Label(), Sub: u.KubeName, Path: h.Site.Path("/admin/people/" + u.ID), State: ops.RowState{Level: ops.LevelGood, Text: "Active"},
		Cells: []ListCell{
			{Label: "Email", Text: u.Email}, {Label: "Connector", Text: u.ConnectorID}, {Label: "Groups", Text: strconv.Itoa(len(u.GroupNames))},
			{Label: "Sessions", Text: strconv.Itoa(sessions)}, {Label: "Last sign-in", At: u.LastSignIn.Time()},
		},
	}
	if u.Retired != 0 {
		row.State = ops.RowState{Level: ops.LevelBad, Text: "Connector deleted"}
	} else if u.Disabled {
		row.State = ops.RowState{Level: ops.LevelBad, Text: "Disabled"}
	} else if u.Refused != 0 {
		row.State = ops.RowState{Level: ops.LevelBad, Text: "Refused by the provider"}
	} else if u.LastSignIn.Time().Before(h.Now().Add(-inactiveAfter)) {
		row.State = ops.RowState{Level: ops.LevelOff, Text: "Inactive"}
	}
	return row
}

// PersonData is one person.
type PersonData struct {
	*ops.Person
	// Self is the address of the page. Enable asks before it acts. Bulk takes the forms to disable the user and to
	// sign the user out: the page lists what they end.
	Self, Simulator, Events string
	Enable, Bulk            string
	Error                   string
	IsMe                    bool
	State                   ops.RowState
	Browsers                []BrowserRow
	// Map is the ways by which the user may use clusters, MapPath the page with all of them.
	Map     chart.Flow
	MapPath string
	// Shown are the first clusters.
	Shown []access.Allowed
}

// shownClusters is how many clusters of a user are listed.
const shownClusters = 50

// BrowserRow is a browser that is signed in.
type BrowserRow struct {
	store.SignIn
	Name i18n.Text
}

// PersonPage is one person.
func PersonPage() templates.Page[PersonData] { return templates.Define[PersonData]("admin/person") }

func (h *Handler) person(c echo.Context, r *request, fault string) error {
	p, err := h.Admin.Person(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	bulk := func(act ops.BulkAct) string {
		return h.Site.Path("/admin/people/bulk?" + url.Values{"act": {string(act)}, "id": {p.User.ID}, "from": {"entry"}}.Encode())
	}
	data := PersonData{
		Person: p, Self: h.Site.Path("/admin/people/" + p.User.ID), Simulator: h.Site.Path("/admin/simulator?user=" + url.QueryEscape(p.User.KubeName)),
		Events: h.Site.Path("/admin/audit?user=" + url.QueryEscape(p.User.ID)), Error: fault, IsMe: p.User.ID == r.current.User.ID, State: h.personRow(p.User, 0).State,
		Enable: bulk(ops.BulkEnable), Bulk: h.Site.Path("/admin/people/bulk"),
	}
	for _, signIn := range p.SignIns {
		data.Browsers = append(data.Browsers, BrowserRow{signIn, page.BrowserName(signIn.UserAgent)})
	}
	data.Shown = p.Clusters[:min(shownClusters, len(p.Clusters))]
	if err := h.personMap(c, r, &data); err != nil {
		return err
	}
	view := web.View[PersonData]{Page: PersonPage(), Title: i18n.Verbatim(p.User.Label()), Data: data, Crumbs: h.crumbs(templates.Link{Label: "People", Path: "/people"}, templates.Link{Label: p.User.Label()})}
	if fault != "" {
		view.Status = http.StatusForbidden
	}
	return show(h, c, r, view)
}

// personMap draws the ways by which a user may use clusters.
func (h *Handler) personMap(c echo.Context, r *request, data *PersonData) error {
	filter := url.Values{"user": {data.User.ID}}
	data.MapPath = h.mapPath(filter)
	if len(data.Clusters) == 0 {
		return nil
	}
	m, err := h.Admin.AccessMap(c.Request().Context(), r.caller, ops.MapQuery{User: data.User.ID, Uncounted: true})
	if err != nil {
		return err
	}
	f := &flow{h: h, Map: m.Map, size: partialColumn, filter: filter, user: m.User, table: data.MapPath}
	data.Map = f.draw("How this user reaches clusters")
	return nil
}

// askRemoveFactor asks before a second factor is removed.
func (h *Handler) askRemoveFactor(c echo.Context, r *request) error {
	p, err := h.Admin.Person(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	at := slices.IndexFunc(p.Factors, func(f store.Factor) bool { return f.ID == c.Param("factor") })
	if at < 0 {
		return h.to(c, "/people/"+p.User.ID)
	}
	self := "/people/" + p.User.ID
	data := ConfirmData{
		Title: "Remove the second factor of " + p.User.Label() + "?", Names: []string{p.Factors[at].Label}, Danger: true, Label: "Remove second factor",
		Sentences: []string{"The user can no longer sign in with it.", "Second factors that remain: " + strconv.Itoa(len(p.Factors)-1) + ".", "Verify the user’s identity before you remove it, and not by email."},
		Action:    h.Site.Path("/admin" + self + "/factors/" + p.Factors[at].ID + "/remove"), Back: h.Site.Path("/admin" + self),
	}
	return h.confirm(c, r, h.crumbs(templates.Link{Label: "People", Path: "/people"}, templates.Link{Label: p.User.Label(), Path: self}, templates.Link{Label: "Remove second factor"}), data)
}

func (h *Handler) revokePerson(c echo.Context, r *request) error {
	return h.afterPerson(c, r, "signed-out", h.Admin.Revoke(c.Request().Context(), r.caller, c.Param("id"), c.FormValue("what")))
}

func (h *Handler) afterPerson(c echo.Context, r *request, done string, err error) error {
	if errs.Is(err, errs.Denied) {
		return h.person(c, r, errs.Message(err))
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return h.done(c, "/people/"+c.Param("id"), done)
}
