package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountOtherLists(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/groups", h.groups)
	add(http.MethodGet, "/proxies", h.proxies)
}

// groups shows the groups of users and of access rules.
func (h *Handler) groups(c echo.Context, r *request) error {
	groups, err := h.Admin.GroupRows(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	w := wanted(c)
	data := ListData{
		Title: "Groups", About: "The groups of users at their last sign-in, and the groups that access rules name.",
		Columns: []ListColumn{{Label: "State", key: "state"}, {Label: "Group", key: "name"}, {Label: "Users", key: "users"}, {Label: "Rules", key: "rules"}},
		Empty:   ListEmpty{Title: "No group yet", Text: "Groups come from your identity provider. They appear here when users sign in."},
	}
	rows := make([]ListRow, len(groups))
	for i, group := range groups {
		rows[i] = ListRow{
			Name: group.Name, State: group.State, text: strings.ToLower(group.Name + " " + strings.Join(group.Rules, " ")),
			keys: map[string]string{"name": strings.ToLower(group.Name), "state": group.State.Key, "users": sortable(group.Users), "rules": sortable(len(group.Rules))},
			Cells: []ListCell{
				{Label: "Users", Text: thousandsOrNone(group.Users)}, {Label: "Rules", Tags: firstOf(group.Rules)},
			},
		}
		if group.Users > 0 {
			rows[i].Path = h.Site.Path("/admin/people?group=" + url.QueryEscape(group.Name))
		} else if len(group.Rules) > 0 {
			rows[i].Path = h.entryPath(settings.Rules, group.Rules[0])
		}
	}
	data.filter(w, rows, map[string]string{"used": "Gives access", "unused": "No rule names it", "empty": "No user has it"})
	return h.showList(c, r, w, data)
}

// proxies shows the enrolled proxies of all clusters.
func (h *Handler) proxies(c echo.Context, r *request) error {
	proxies, err := h.Admin.ProxyRows(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	w := wanted(c)
	data := ListData{
		Title: "Proxies", About: "The proxies that have enrolled. A connected proxy learns within about a second when access is revoked.", Bulk: h.bulk(ops.BulkProxies, "/proxies"),
		Columns: []ListColumn{{Label: "State", key: "state"}, {Label: "Proxy", key: "name"}, {Label: "Cluster", key: "cluster"}, {Label: "Version", key: "version"}, {Label: "Address"}, {Label: "Last contact", key: "seen"}},
		Empty: ListEmpty{
			Title: "No proxy has enrolled yet", Text: "Open a cluster and choose “Connect this cluster”. The page has the configuration for the proxy and the enrolment code.",
			Action: &templates.Link{Label: "Clusters", Path: h.Site.Path("/admin/clusters")},
		},
	}
	rows := make([]ListRow, len(proxies))
	for i := range proxies {
		p := &proxies[i]
		seen := p.LastSeen.Time()
		rows[i] = ListRow{
			ID: p.ID, Name: p.Name, Sub: p.ID, Path: h.entryPath(settings.Clusters, p.ClusterID) + "/connect", State: p.State,
			text: strings.ToLower(strings.Join([]string{p.ID, p.Name, p.ClusterID, p.Version, p.Address}, " ")),
			keys: map[string]string{"name": strings.ToLower(p.Name), "state": p.State.Key, "cluster": p.ClusterID, "version": p.Version, "seen": sortable(seen)},
			Cells: []ListCell{
				{Label: "Cluster", Text: p.ClusterID, Path: h.entryPath(settings.Clusters, p.ClusterID)}, {Label: "Version", Text: p.Version},
				{Label: "Address", Text: p.Address}, {Label: "Last contact", At: seen, Text: "never"},
			},
		}
	}
	data.filter(w, rows, map[string]string{"connected": "Connected", "away": "Not connected"})
	return h.showList(c, r, w, data)
}

// tokens shows the API tokens.
func (h *Handler) tokens(c echo.Context, r *request) error {
	tokens, err := h.Admin.TokenRows(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	w := wanted(c)
	data := ListData{
		Title: "API tokens", About: "Programs use them to call the admin API. A token acts with its owner’s rights, limited to its scopes.", Bulk: h.bulk(ops.BulkTokens, "/tokens"),
		New:     &templates.Link{Label: "New token", Path: h.Site.Path("/admin/tokens/new")},
		Columns: []ListColumn{{Label: "State", key: "state"}, {Label: "Name", key: "name"}, {Label: "Owner", key: "owner"}, {Label: "Scopes"}, {Label: "Last used", key: "used"}, {Label: "Expires", key: "ends"}},
	}
	data.Empty = ListEmpty{Title: "No API token yet", Text: "Create a token for a program, such as Terraform, that reads or changes the configuration.", Action: data.New}
	rows := make([]ListRow, len(tokens))
	for i := range tokens {
		token := &tokens[i]
		used, ends := token.LastUsed.Time(), token.Expires.Time()
		rows[i] = ListRow{
			ID: token.ID, Name: token.Name, State: token.State, text: strings.ToLower(token.Name + " " + token.Owner + " " + strings.Join(token.Scopes, " ")),
			keys:  map[string]string{"name": strings.ToLower(token.Name), "state": token.State.Key, "owner": token.Owner, "used": sortable(used), "ends": sortable(ends)},
			Cells: []ListCell{{Label: "Owner", Text: token.Owner}, {Label: "Scopes", Tags: token.Scopes}, {Label: "Last used", At: used, Text: "never"}, {Label: "Expires", At: ends}},
		}
	}
	data.filter(w, rows, map[string]string{"ready": "Valid", "expires": "Expires soon", "expired": "Expired"})
	return h.showList(c, r, w, data)
}

// plural writes a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
