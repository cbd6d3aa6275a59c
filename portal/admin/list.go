package admin

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/templates"
)

// lists has the lists of the kinds of entry.
func (h *Handler) lists() map[string]func(c echo.Context, r *request) (rows []ListRow, labels map[string]string, err error) {
	return map[string]func(c echo.Context, r *request) ([]ListRow, map[string]string, error){
		settings.Clusters: h.clusterRows, settings.Rules: h.ruleRows, settings.Clients: h.clientRows, settings.Connectors: h.connectorRows,
		settings.LocalUsers: h.localUserRows, settings.Workloads: h.workloadRows, settings.Issuers: h.issuerRows, settings.General: h.generalRows,
	}
}

// list shows the entries of a kind.
func (h *Handler) list(c echo.Context, r *request, k settings.Kind) error {
	rows, labels, err := h.lists()[k.Name](c, r)
	if err != nil {
		return err
	}
	w := wanted(c)
	data := ListData{Title: k.Many, About: k.About, Columns: listColumns(k.Name), Bulk: h.bulk(k.Name, "/"+k.Path)}
	if k.Name != settings.General {
		data.New = &templates.Link{Label: "New " + k.One, Path: h.Site.Path("/admin/" + k.Path + "/new")}
		data.Empty = ListEmpty{Title: "No " + k.One + " yet", Text: emptyText(k), Action: data.New}
	}
	data.filter(w, rows, labels)
	return h.showList(c, r, w, data)
}

func listColumns(kind string) []ListColumn {
	state, managed := ListColumn{Label: "State", key: "state"}, ListColumn{Label: "Managed by", key: originKey}
	name := ListColumn{Label: "Name", key: "name"}
	switch kind {
	case settings.Clusters:
		return []ListColumn{state, name, {Label: "Labels"}, {Label: "Last used", key: "used"}, managed}
	case settings.Rules:
		return []ListColumn{state, name, {Label: "Who"}, {Label: "May use"}, managed}
	case settings.Clients:
		return []ListColumn{state, name, {Label: "Redirect URIs"}, {Label: "Last used", key: "used"}, managed}
	case settings.Connectors:
		return []ListColumn{state, name, {Label: "Users", key: "users"}, {Label: "Last sign-in", key: "used"}, managed}
	case settings.LocalUsers:
		return []ListColumn{state, name, {Label: "Groups"}, {Label: "Last sign-in", key: "used"}, managed}
	case settings.Workloads:
		return []ListColumn{state, name, {Label: "Issuer", key: "issuer"}, {Label: "Claims"}, {Label: "Last used", key: "used"}, managed}
	case settings.Issuers:
		return []ListColumn{state, name, {Label: "Issuer URL", key: "url"}, managed}
	}
	return []ListColumn{state, name, {Label: "Differs from the default"}}
}

// emptyText says what a kind is for.
func emptyText(k settings.Kind) string {
	return map[string]string{
		settings.Clusters:   "Add a cluster so that users can reach it with kubectl. You need its address and, if its certificate is not from a public CA, its CA certificate.",
		settings.Rules:      "Without a rule no user can use a cluster. Create one that gives a group access to the clusters it needs.",
		settings.Clients:    "Add an application, such as Grafana or Argo CD, that signs users in with Fairlead.",
		settings.Connectors: "Connect the identity provider that your users already have. A new connector is a draft: users don’t see it until you have tested and enabled it.",
		settings.LocalUsers: "Create an account for a user who has no account with your identity provider. The user sets the password with an invitation.",
		settings.Workloads:  "Let a CI job or another program use a cluster with its platform’s token, without a stored secret. Create a trusted issuer for the platform first.",
		settings.Issuers:    "Add a platform, such as GitHub Actions or GitLab, whose tokens your workloads bring.",
	}[k.Name]
}

func (h *Handler) entryPath(kind, id string) string {
	k, _ := settings.KindOf(kind)
	return h.Site.Path("/admin/" + k.Path + "/" + url.PathEscape(id))
}

// row begins the row of an entry. Entries of the file can't be selected.
func (h *Handler) row(kind, id, name string, state ops.RowState, origin store.Origin) ListRow {
	row := ListRow{ID: id, Name: name, Path: h.entryPath(kind, id), State: state}
	if name == "" {
		row.Name = id
	}
	if row.Name != id {
		row.Sub = id
	}
	if origin.Origin == store.OriginFile {
		row.ID = ""
	}
	row.keys = map[string]string{"name": strings.ToLower(row.Name), "state": state.Key + " " + state.Text, originKey: fileOf(origin)}
	row.text = strings.ToLower(id + " " + name + " " + state.Text)
	return row
}

// fileOf is the place in the configuration file of an entry that the file manages.
func fileOf(o store.Origin) string {
	if o.Origin != store.OriginFile {
		return ""
	}
	return o.OriginRef
}

func (row *ListRow) also(texts ...string) {
	row.text += " " + strings.ToLower(strings.Join(texts, " "))
}

func (h *Handler) clusterRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	clusters, err := h.Admin.ClusterRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(clusters))
	for i, cluster := range clusters {
		row := h.row(settings.Clusters, cluster.ID, cluster.Name, cluster.State, cluster.Origin)
		row.Environment, row.Color = cluster.Environment, cluster.Color
		labels := pairs(cluster.Labels)
		row.also(cluster.Environment, cluster.Description, cluster.Server, strings.Join(labels, " "))
		row.keys["used"] = sortable(cluster.LastUse)
		row.Cells = []ListCell{{Label: "Labels", Tags: labels}, {Label: "Last used", At: cluster.LastUse, Text: "never"}, managedBy(cluster.Origin)}
		rows[i] = row
	}
	return rows, map[string]string{"connected": "Connected", "partly": "Partly connected", "away": "Not connected", "none": "No proxy enrolled", "direct": "Direct"}, nil
}

func (h *Handler) ruleRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	rules, err := h.Admin.RuleRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(rules))
	for i := range rules {
		rule := &rules[i]
		row := h.row(settings.Rules, rule.ID, rule.Description, rule.State, rule.Origin)
		who, use := ruleWho(&rule.AccessRule), ruleUse(&rule.AccessRule)
		row.also(who...)
		row.also(use...)
		row.Cells = []ListCell{{Label: "Who", Tags: firstOf(who)}, {Label: "May use", Tags: firstOf(use)}, managedBy(rule.Origin)}
		rows[i] = row
	}
	return rows, map[string]string{"in-use": "Gives access", "admin": "Makes admins", "no-user": "Matches no user", "no-cluster": "Matches no cluster"}, nil
}

func ruleWho(rule *store.AccessRule) []string {
	if rule.Everyone {
		return append([]string{"everyone"}, rule.ConnectorIDs...)
	}
	return append(append(append([]string{}, rule.GroupNames...), rule.UserNames...), rule.Domains...)
}

func ruleUse(rule *store.AccessRule) []string {
	if rule.Admin {
		return []string{"admin pages"}
	}
	list := append([]string{}, rule.ClusterIDs...)
	for i, id := range list {
		if id == "*" {
			list[i] = "all clusters"
		}
	}
	return append(list, pairs(rule.ClusterLabels)...)
}

// shownTags is how many tags a cell shows.
const shownTags = 3

// firstOf shortens a list for a cell.
func firstOf(list []string) []string {
	if len(list) <= shownTags {
		return list
	}
	return append(append([]string{}, list[:shownTags]...), "+"+strconv.Itoa(len(list)-shownTags)+" more")
}

func (h *Handler) clientRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	clients, err := h.Admin.ClientRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(clients))
	for i := range clients {
		client := &clients[i]
		row := h.row(settings.Clients, client.ID, client.Name, client.State, client.Origin)
		row.also(client.RedirectURIs...)
		row.keys["used"] = sortable(client.LastUse)
		used := ListCell{Label: "Last used", At: client.LastUse, Text: "never"}
		if client.Public {
			used.Text = "not recorded"
		}
		row.Cells = []ListCell{{Label: "Redirect URIs", Text: strings.Join(firstOf(client.RedirectURIs), " "), Code: true}, used, managedBy(client.Origin)}
		rows[i] = row
	}
	return rows, map[string]string{"ready": "Ready", "public": "Public", "expires": "Expires soon", "expired": "Expired"}, nil
}

func (h *Handler) connectorRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	connectors, err := h.Admin.ConnectorRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(connectors))
	for i, connector := range connectors {
		row := h.row(settings.Connectors, connector.ID, connector.Name, connector.Row, connector.Origin)
		row.Icon, row.Sub = connector.Icon, connector.Label
		if connector.Hidden {
			row.Sub += ", hidden from the sign-in page"
		}
		if connector.Fault != "" {
			row.Detail = connector.Fault
		}
		h.movable(&row, i, len(connectors), connector.Origin)
		row.ID = connector.ID
		if connector.Origin.Origin == store.OriginFile {
			row.ID = ""
		}
		row.also(connector.Label, connector.Fault)
		row.keys["used"], row.keys["users"] = sortable(connector.LastSignIn), sortable(connector.Users)
		row.Cells = []ListCell{
			{Label: "Users", Text: thousandsOrNone(connector.Users), Path: h.Site.Path("/admin/people?connector=" + url.QueryEscape(connector.ID))},
			{Label: "Last sign-in", At: connector.LastSignIn, Text: "never"}, managedBy(connector.Origin),
		}
		rows[i] = row
	}
	return rows, map[string]string{"draft": "Draft", "tested": "Tested", "enabled": "Enabled", "failing": "Failing"}, nil
}

// movable lets a row of the pages be moved up and down, if there is a place.
func (h *Handler) movable(row *ListRow, at, of int, origin store.Origin) {
	if h.Admin.ReadOnly || origin.Origin == store.OriginFile {
		return
	}
	if at > 0 {
		row.Up = row.Path + "/up"
	}
	if at < of-1 {
		row.Down = row.Path + "/down"
	}
}

func (h *Handler) localUserRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	users, err := h.Admin.LocalUserRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(users))
	for i := range users {
		user := &users[i]
		row := h.row(settings.LocalUsers, user.Login, user.DisplayName, user.State, user.Origin)
		row.also(user.Email)
		row.also(user.GroupNames...)
		row.keys["used"] = sortable(user.LastSignIn)
		row.Cells = []ListCell{{Label: "Groups", Tags: firstOf(user.GroupNames)}, {Label: "Last sign-in", At: user.LastSignIn, Text: "never"}, managedBy(user.Origin)}
		rows[i] = row
	}
	return rows, map[string]string{"active": "Active", "disabled": "Disabled", "invited": "Invited", "new": "Not invited", "unused": "Never signed in"}, nil
}

func (h *Handler) workloadRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	workloads, err := h.Admin.WorkloadRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(workloads))
	for i := range workloads {
		workload := &workloads[i]
		row := h.row(settings.Workloads, workload.ID, workload.Description, workload.State, workload.Origin)
		h.movable(&row, i, len(workloads), workload.Origin)
		var claims []string
		for name, values := range workload.Claims {
			for _, value := range values {
				claims = append(claims, name+"="+value)
			}
		}
		row.also(claims...)
		row.also(workload.IssuerID)
		row.keys["used"], row.keys["issuer"] = sortable(workload.LastUse), workload.IssuerID
		row.Cells = []ListCell{
			{Label: "Issuer", Text: workload.IssuerID, Path: h.entryPath(settings.Issuers, workload.IssuerID)}, {Label: "Claims", Tags: firstOf(inOrder(claims))},
			{Label: "Last used", At: workload.LastUse, Text: "never"}, managedBy(workload.Origin),
		}
		rows[i] = row
	}
	return rows, map[string]string{"used": "In use", "unused": "Never used"}, nil
}

func (h *Handler) issuerRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	issuers, err := h.Admin.IssuerRows(c.Request().Context(), r.caller)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]ListRow, len(issuers))
	for i := range issuers {
		issuer := &issuers[i]
		row := h.row(settings.Issuers, issuer.ID, issuer.ID, issuer.State, issuer.Origin)
		row.also(issuer.URL)
		row.keys["url"] = issuer.URL
		row.Cells = []ListCell{{Label: "Issuer URL", Text: issuer.URL, Code: true}, managedBy(issuer.Origin)}
		rows[i] = row
	}
	return rows, map[string]string{"used": "In use", "unused": "Not used"}, nil
}

// generalRows are the general settings, with those that an admin has changed.
func (h *Handler) generalRows(c echo.Context, r *request) ([]ListRow, map[string]string, error) {
	items, err := h.Admin.Entries(c.Request().Context(), r.caller, settings.General, "", 1)
	if err != nil {
		return nil, nil, errors.Join(err)
	}
	var rows []ListRow
	for _, item := range items.Items {
		changed := changedFields(settings.Fields(settings.General, h.Types, item.Doc), item.Doc)
		state := ops.RowState{Level: ops.LevelOff, Key: "default", Text: "Default"}
		if len(changed) > 0 {
			state = ops.RowState{Level: ops.LevelGood, Key: "changed", Text: "Changed"}
		}
		row := h.row(settings.General, item.ID, item.Name, state, item.Origin)
		row.Sub = ""
		row.Cells = []ListCell{{Label: "Differs from the default", Text: strings.Join(changed, ", ")}}
		rows = append(rows, row)
	}
	return rows, nil, nil
}
