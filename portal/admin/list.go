package admin

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// ListData is a list of entries.
type ListData struct {
	Kind  settings.Kind
	Rows  []ListRow
	Total int
	Query string
	// Search says that the list is long enough for a search box.
	Search     bool
	Page       int
	Prev, Next string
	Done       string
	ReadOnly   bool
}

// ListRow is an entry in a list.
type ListRow struct {
	ID, Name, Path string
	Facts          []string
	Environment    string
	Color          string
	File           string
}

// ListPage is a list of entries of one kind.
func ListPage() templates.Page[ListData] { return templates.Define[ListData]("admin/list") }

func (h *Handler) list(c echo.Context, r *request, k settings.Kind) error {
	query := strings.TrimSpace(c.QueryParam("q"))
	page, _ := strconv.Atoi(c.QueryParam("page")) // anything else is the first page
	items, err := h.Admin.Entries(c.Request().Context(), r.caller, k.Name, query, page)
	if err != nil {
		return err
	}
	data := ListData{
		Kind: k, Total: items.Total, Query: query, Search: query != "" || items.Total > 8, Page: items.Page, Done: doneWords(c), ReadOnly: h.Admin.ReadOnly,
	}
	for _, item := range items.Items {
		data.Rows = append(data.Rows, h.listRow(k, item))
	}
	link := func(n int) string { return "?q=" + url.QueryEscape(query) + "&page=" + strconv.Itoa(n) }
	if items.Page > 1 {
		data.Prev = link(items.Page - 1)
	}
	if items.Page < items.Pages() {
		data.Next = link(items.Page + 1)
	}
	return show(h, c, r, web.View[ListData]{Page: ListPage(), Title: i18n.Verbatim(k.Many), Data: data})
}

func (h *Handler) listRow(k settings.Kind, item ops.Item) ListRow {
	row := ListRow{ID: item.ID, Name: item.Name, Path: h.Site.Path("/admin/" + k.Path + "/" + url.PathEscape(item.ID)), Color: item.Doc.Text("color"), Environment: item.Doc.Text("environment")}
	if item.Origin.Origin == store.OriginFile {
		row.File = item.Origin.OriginRef
	}
	shown := map[string][]string{
		settings.Clusters: {"server", "labels"}, settings.Rules: {"who.groups", "who.users", "who.domains", "who.everyone", "clusters.ids", "clusters.labels", "admin"},
		settings.Clients: {"redirectURIs", "public"}, settings.Issuers: {"url"}, settings.General: {"idle", "absolute", "maxAge", "outageBudget", "brand", "notice", "contact"}, settings.Workloads: {"issuer", "claims"}, settings.LocalUsers: {"email", "groups"},
	}[k.Name]
	for _, f := range settings.Fields(k.Name, h.Types, item.Doc) {
		if !slices.Contains(shown, f.Key) || form.Equal(item.Doc.Get(f.Key), nil) {
			continue
		}
		for _, change := range form.Diff([]form.Field{f}, form.Doc{}, item.Doc) {
			row.Facts = append(row.Facts, f.Label+": "+strings.ReplaceAll(change.After, "\n", ", "))
		}
	}
	return row
}
