package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountMap(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/access-map", h.accessMap)
}

// MapData is the access map.
type MapData struct {
	Title, Summary string
	// Tabs are the pages of the cluster or the rule that the map shows.
	Tabs []templates.Link
	// Actions lead to what else there is about the filter.
	Actions []templates.Link
	// Query and Person are the text fields of the filter, Environments its select, Kept its hidden
	// fields.
	Query, Person string
	Environments  []ListOption
	Kept          []ListKept
	// Filters are the filters that are set, each with the map without it.
	Filters []templates.Link
	Error   string
	Picture chart.Flow
	Rows    []MapRow
	// Bundled says that some nodes of the picture stand for several groups, users or clusters.
	Bundled bool
	// From and To are the numbers of the rules on the page, of Total.
	From, To, Total, All int
	Prev, Next           string
	// Empty is shown instead of the map, with an example if Teach says so.
	Empty   *ListEmpty
	Teach   bool
	Example chart.Flow
}

// MapRow is a rule in the table of the map.
type MapRow struct {
	Name, ID, Path, Through string
	People                  string
	Who, Use                []MapTag
	// MoreWho and MoreUse are how many more there are; More leads to them.
	MoreWho, MoreUse int
	More             string
}

// MapTag is a subject or a cluster in the table.
type MapTag struct{ Text, Note, Path string }

// MapPage is the access map.
func MapPage() templates.Page[MapData] { return templates.Define[MapData]("admin/map") }

// The size of a picture: on the map itself, and as a part of another page.
const (
	mapColumn     = 24
	partialColumn = 12
)

// How many subjects and clusters of a rule the table shows, among other rules and alone.
const (
	fewTags  = 4
	manyTags = 100
)

// mapQuery reads the filter of the map.
func mapQuery(w listWanted) ops.MapQuery {
	get := func(name string) string { return strings.TrimSpace(w.values.Get(name)) }
	q := ops.MapQuery{Text: w.query, Rule: get("rule"), Cluster: get("cluster"), Environment: get("environment"), User: get("user"), Page: w.page}
	switch {
	case get("group") != "":
		q.Subject = access.Subject{Kind: access.SubjectGroup, Name: get("group")}
	case get("domain") != "":
		q.Subject = access.Subject{Kind: access.SubjectDomain, Name: get("domain")}
	case get("everyone") != "":
		q.Subject = access.Subject{Kind: access.SubjectEveryone}
	}
	return q
}

func (h *Handler) accessMap(c echo.Context, r *request) error {
	w := wanted(c)
	q := mapQuery(w)
	data := MapData{Title: "Access map", Query: q.Text, Person: q.User}
	view := web.View[MapData]{Page: MapPage(), Title: i18n.T("Access map")}
	m, err := h.Admin.AccessMap(c.Request().Context(), r.caller, q)
	if errs.Is(err, errs.NotFound) {
		data.Error, view.Data, view.Status = errs.Message(err), data, http.StatusNotFound
		data.Filters = h.mapFilters(w, "")
		view.Data = data
		return show(h, c, r, view)
	}
	if err != nil {
		return err
	}
	h.mapHead(&data, &view, q, m)
	h.mapFilter(&data, w, m)
	f := &flow{h: h, Map: m.Map, size: mapColumn, counted: true, filter: w.values, user: m.User, table: h.Site.Path("/admin/access-map"+w.link("page", "")) + "#rules"}
	data.Picture = f.draw(data.Title)
	data.Bundled = len(data.Picture.Columns[0].Nodes) < len(m.Subjects) || len(data.Picture.Columns[2].Nodes) < len(m.Clusters)
	data.Rows = f.rows()
	data.Total, data.All = m.Total, m.All
	data.From = (m.Page-1)*ops.MapPageSize + 1
	data.To = data.From + len(m.Rules) - 1
	if m.Page > 1 {
		data.Prev = w.pageLink(m.Page - 1)
	}
	if m.Page < m.Pages {
		data.Next = w.pageLink(m.Page + 1)
	}
	if len(m.Rules) == 0 {
		data.Empty, data.Teach = h.mapEmpty(q, m)
		data.Example = example()
	}
	view.Data = data
	return show(h, c, r, view)
}

// mapHead says what the map shows.
func (h *Handler) mapHead(data *MapData, view *web.View[MapData], q ops.MapQuery, m *ops.AccessMap) {
	link := func(label, path string) {
		data.Actions = append(data.Actions, templates.Link{Label: label, Path: h.Site.Path("/admin" + path)})
	}
	rules := plural(m.Total, "rule", "rules")
	switch {
	case m.User != nil:
		data.Title = "Access map of " + m.User.Label()
		data.Summary = m.User.KubeName + " may use " + plural(m.ClusterCount, "cluster", "clusters") + " by " + rules + "."
		if m.User.Disabled {
			data.Summary = "The account is disabled, so the user can’t use any cluster."
		} else if m.User.Refused != 0 {
			data.Summary = "The identity provider refuses the account, so the user can’t use any cluster."
		}
		link("Check access", "/simulator?user="+url.QueryEscape(m.User.KubeName))
		view.Crumbs = h.crumbs(templates.Link{Label: "People", Path: "/people"}, templates.Link{Label: m.User.Label(), Path: "/people/" + m.User.ID}, templates.Link{Label: "Access map"})
	case q.Cluster != "":
		data.Title = "Access map of " + q.Cluster
		data.Summary = plural(m.ClusterUsers, "person", "people") + " may use " + q.Cluster + ". " + plural(m.Total, "rule opens it.", "rules open it.")
		data.Tabs = h.clusterTabs(q.Cluster, "")
		for i := range data.Tabs {
			data.Tabs[i].Here = data.Tabs[i].Label == mapTab
		}
		view.Crumbs = h.crumbs(templates.Link{Label: "Clusters", Path: "/clusters"}, templates.Link{Label: q.Cluster, Path: "/clusters/" + url.PathEscape(q.Cluster)}, templates.Link{Label: "Access map"})
	case q.Rule != "" && len(m.Rules) == 1:
		name := cmp.Or(m.Rules[0].Description, q.Rule)
		data.Title = "Access map of " + name
		data.Summary = plural(m.Rules[0].Users, "person", "people") + " may use " + plural(m.ClusterCount, "cluster", "clusters") + " by this rule."
		data.Tabs = h.ruleTabs(q.Rule, mapTab)
		view.Crumbs = h.crumbs(templates.Link{Label: "Access rules", Path: "/rules"}, templates.Link{Label: name, Path: "/rules/" + url.PathEscape(q.Rule)}, templates.Link{Label: "Access map"})
	case q.Subject.Kind == access.SubjectGroup:
		data.Summary = rules + " and " + plural(m.ClusterCount, "cluster", "clusters") + " for the group " + q.Subject.Name + "."
		link("Check access", "/simulator?groups="+url.QueryEscape(q.Subject.Name))
		link("People in the group", "/people?group="+url.QueryEscape(q.Subject.Name))
	case m.Total == 0:
		data.Summary = "Which groups and users reach which clusters, and by which rule."
	default:
		data.Summary = rules + ", " + plural(m.SubjectCount, "group or user", "groups and users") + ", " + plural(m.ClusterCount, "cluster", "clusters") + ". Users are counted with the groups of their last sign-in."
	}
	view.Title = i18n.Verbatim(data.Title)
}

// ruleTabs are the pages about a rule. The one with the label here is marked.
func (h *Handler) ruleTabs(id, here string) []templates.Link {
	tabs := []templates.Link{
		{Label: "Settings", Path: h.entryPath(settings.Rules, id)},
		{Label: mapTab, Path: h.mapPath(url.Values{"rule": {id}})},
		{Label: "Changes", Path: h.Site.Path("/admin/history?kind=" + settings.Rules + "&object=" + url.QueryEscape(id))},
	}
	for i := range tabs {
		tabs[i].Here = tabs[i].Label == here
	}
	return tabs
}

// mapTab is the label of the tab that leads to the map.
const mapTab = "Access map"

// mapFilter fills in the filter form.
func (h *Handler) mapFilter(data *MapData, w listWanted, m *ops.AccessMap) {
	chosen := w.values.Get("environment")
	if len(m.Environments) > 1 || chosen != "" {
		data.Environments = []ListOption{{Label: "All environments"}}
		for _, environment := range m.Environments {
			data.Environments = append(data.Environments, ListOption{Value: environment, Label: environment, Chosen: environment == chosen})
		}
	}
	name := ""
	if m.User != nil {
		name = m.User.KubeName
	}
	data.Filters = h.mapFilters(w, name)
	for _, key := range []string{"rule", "cluster", "group", "domain", "everyone"} {
		if value := w.values.Get(key); value != "" {
			data.Kept = append(data.Kept, ListKept{key, value})
		}
	}
}

// mapFilters are the filters that are set, each with the map without it.
func (h *Handler) mapFilters(w listWanted, user string) []templates.Link {
	var list []templates.Link
	for _, filter := range []struct{ key, label string }{
		{"user", "Person "}, {"group", "Group "}, {"domain", "Domain "}, {"everyone", "Everyone"}, {"rule", "Rule "}, {"cluster", "Cluster "}, {"environment", "Environment "}, {"q", "Text "},
	} {
		value := w.values.Get(filter.key)
		if value == "" {
			continue
		}
		label := filter.label + value
		switch filter.key {
		case "user":
			label = filter.label + cmp.Or(user, value)
		case "everyone":
			label = filter.label
		}
		list = append(list, templates.Link{Label: label, Path: h.Site.Path("/admin/access-map" + strings.TrimSuffix(w.link(filter.key, ""), "?"))})
	}
	return list
}

// rows are the table of the map.
func (f *flow) rows() []MapRow {
	shown := fewTags
	if len(f.Rules) == 1 {
		shown = manyTags
	}
	rows := make([]MapRow, len(f.Rules))
	for i := range f.Rules {
		rule := &f.Rules[i]
		row := MapRow{
			Name: cmp.Or(rule.Description, rule.ID), ID: rule.ID, Path: f.h.entryPath(settings.Rules, rule.ID), Through: strings.Join(rule.ConnectorIDs, " or "),
			People: f.users(rule.Users), More: f.h.mapPath(url.Values{"rule": {rule.ID}}),
			MoreWho: max(0, len(rule.Subjects)-shown), MoreUse: max(0, len(rule.Clusters)-shown),
		}
		for _, e := range rule.Subjects[:min(shown, len(rule.Subjects))] {
			s := &f.Subjects[e.To]
			row.Who = append(row.Who, MapTag{Text: subjectLabel(s.Subject), Note: f.users(e.Users), Path: f.subjectPath(s)})
		}
		row.Use = f.clusterTags(rule, shown)
		if len(row.Use) == 1 && len(rule.Clusters) > 1 {
			row.MoreUse = 0
		}
		rows[i] = row
	}
	return rows
}

// clusterTags are the clusters of a rule in the table. Among other rules, one that selects many
// by labels shows the labels.
func (f *flow) clusterTags(rule *accessmap.Rule, shown int) []MapTag {
	if len(rule.Clusters) > shown && shown == fewTags {
		bundle := accessmap.Bundle{Rules: []accessmap.Edge{{To: f.at(rule)}}}
		for _, e := range rule.Clusters {
			bundle.Members = append(bundle.Members, e.To)
		}
		if rule.All || len(rule.Labels) > 0 {
			return []MapTag{{Text: f.clustersLabel(bundle), Path: f.narrow("rule", rule.ID)}}
		}
	}
	var tags []MapTag
	for _, e := range rule.Clusters[:min(shown, len(rule.Clusters))] {
		cluster := &f.Clusters[e.To]
		tag := MapTag{Text: cluster.ID, Note: f.users(cluster.Users), Path: f.clusterPath(cluster.ID)}
		if f.user != nil {
			tag.Note, tag.Path = "", f.why(cluster.ID)
		}
		tags = append(tags, tag)
	}
	return tags
}

// at is the index of a rule of the map.
func (f *flow) at(rule *accessmap.Rule) int {
	for i := range f.Rules {
		if &f.Rules[i] == rule {
			return i
		}
	}
	return 0
}

// mapEmpty says why the map is empty, and what to do. Without any rule it teaches what one is.
func (h *Handler) mapEmpty(q ops.MapQuery, m *ops.AccessMap) (empty *ListEmpty, teach bool) {
	action := func(label, path string) *templates.Link {
		if h.Admin.ReadOnly {
			return nil
		}
		return &templates.Link{Label: label, Path: h.Site.Path("/admin" + path)}
	}
	switch {
	case m.All == 0:
		return &ListEmpty{
			Title: "No access rule yet", Action: action("New access rule", "/rules/new"),
			Text: "A rule connects groups and users with clusters. Without a rule no user can use a cluster. This is how one looks on the map:",
		}, true
	case m.User != nil && !m.User.Blocked():
		return &ListEmpty{
			Title: "No rule gives this user access", Text: "Check access to see what the user lacks for each cluster.",
			Action: &templates.Link{Label: "Check access", Path: h.Site.Path("/admin/simulator?user=" + url.QueryEscape(m.User.KubeName))},
		}, false
	case m.User != nil && m.User.Refused != 0:
		return &ListEmpty{
			Title: "The identity provider refuses the account", Text: "The user has access again after a sign-in that the provider allows. The audit log says why it refused.",
			Action: &templates.Link{Label: "Open the user", Path: h.Site.Path("/admin/people/" + m.User.ID)},
		}, false
	case m.User != nil:
		return &ListEmpty{Title: "The account is disabled", Text: "Enable the user on their page to give access again.", Action: &templates.Link{Label: "Open the user", Path: h.Site.Path("/admin/people/" + m.User.ID)}}, false
	case q.Cluster != "" && m.ClusterUsers == 0:
		return &ListEmpty{Title: "No rule opens this cluster", Text: "No user can use it until an access rule names it or one of its labels.", Action: action("New access rule", "/rules/new")}, false
	}
	if q.Rule != "" {
		return &ListEmpty{
			Title: "This rule is not on the map", Text: "The map shows the rules that open clusters. A rule that makes users admins opens none.",
			Action: &templates.Link{Label: "Show the whole map", Path: h.Site.Path("/admin/access-map")},
		}, false
	}
	return &ListEmpty{Title: "No match", Text: "No rule matches these filters.", Action: &templates.Link{Label: "Show the whole map", Path: h.Site.Path("/admin/access-map")}}, false
}

// example is a small map for the empty page.
func example() chart.Flow {
	return chart.Flow{Title: "Example of an access map", Columns: []chart.Column{
		{Title: "Groups and users", Nodes: []chart.Node{{Icon: "group", Label: "ldap:developers", Note: "24"}, {Icon: "user", Label: "ldap:ann", Note: "1"}}},
		{Title: "Access rules", Nodes: []chart.Node{{Icon: "rule", Label: "Developers use the test clusters", Note: "25"}}},
		{Title: "Clusters", Nodes: []chart.Node{{Icon: "cluster", Label: "test-eu", Note: "25"}, {Icon: "cluster", Label: "test-us", Note: "25"}}},
	}, Edges: [][]chart.Edge{{{From: 0, Weight: 2}, {From: 1, Weight: 1}}, {{To: 0, Weight: 2}, {To: 1, Weight: 2}}}} //nolint:mnd // how thick the curves are
}
