package admin

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// ListData is a list page: filters, a table with the state first, pages and bulk acts.
type ListData struct {
	Title, About string
	// New is the page's main button, or nil.
	New *templates.Link
	// Query is the text of the filter; Filters are its selects, Kept its hidden fields.
	Query   string
	Filters []ListFilter
	Kept    []ListKept
	// States are links that select the rows in one state. Search says that filters are shown.
	States []ListState
	Search bool
	// Filtered says that some filter is set; All leads to the whole list.
	Filtered bool
	All      string
	Columns  []ListColumn
	Rows     []ListRow
	// From and To are the numbers of the rows on the page, of Total.
	From, To, Total int
	Prev, Next      string
	// Moves says that rows can be moved up and down.
	Moves bool
	// Bulk has the acts for selected rows, or is nil.
	Bulk *ListBulk
	// Empty is shown if there is no row at all.
	Empty    ListEmpty
	ReadOnly bool
}

// ListFilter is a select of the filter form.
type ListFilter struct {
	Name, Label string
	Options     []ListOption
}

// ListOption is an option of a ListFilter.
type ListOption struct {
	Value, Label string
	Chosen       bool
}

// ListKept is a hidden field of the filter form.
type ListKept struct{ Name, Value string }

// ListState is a link that selects the rows in a state.
type ListState struct {
	Label, Path string
	Count       int
	Here        bool
}

// ListColumn is a column. Path sorts by it, if the column can be sorted; Sorted is the value of
// aria-sort.
type ListColumn struct {
	Label, Path, Sorted string
	// key is the value of the sort parameter; empty for a column that can't be sorted.
	key string
}

// ListRow is a row: its state, its name, and a cell for each further column.
type ListRow struct {
	// ID selects the row for bulk acts. Path is the page about it; empty for no page.
	ID, Name, Path string
	// Sub is a second line below the name; Icon stands before it.
	Sub, Icon          string
	Environment, Color string
	State              ops.RowState
	// Detail says more about the state.
	Detail string
	Cells  []ListCell
	// Up and Down take a POST that moves the row; empty if it can't be moved.
	Up, Down string
	// keys are the values to sort by, by column key; text is what the filter looks through.
	keys map[string]string
	text string
}

// ListCell is a cell. It shows Text, the time At or Tags.
type ListCell struct {
	Label, Text string
	At          time.Time
	Tags        []string
	Code        bool
	// Path makes the text a link.
	Path string
}

// ListBulk is the bulk acts of a list.
type ListBulk struct {
	Path string
	Acts []BulkChoice
}

// BulkChoice is a button for a bulk act.
type BulkChoice struct {
	Act    ops.BulkAct
	Label  string
	Danger bool
}

// ListEmpty is what a list without rows says.
type ListEmpty struct {
	Title, Text string
	Action      *templates.Link
}

// ListPage is a list of entries.
func ListPage() templates.Page[ListData] { return templates.Define[ListData]("admin/list") }

// listWanted is what the address asks a list for.
type listWanted struct {
	query, state, sort string
	page               int
	values             url.Values
}

// maxPage is more pages than any list has. It keeps the number of the first row from overflowing.
const maxPage = 1_000_000

func wanted(c echo.Context) listWanted {
	values := c.QueryParams()
	page, err := strconv.Atoi(values.Get("page"))
	if err != nil || page < 1 {
		page = 1
	}
	page = min(page, maxPage)
	return listWanted{query: strings.TrimSpace(values.Get("q")), state: values.Get("state"), sort: values.Get("sort"), page: page, values: values}
}

// link is the address of the same list with one parameter changed, on its first page.
func (w listWanted) link(name, value string) string {
	values := url.Values{}
	for key := range w.values {
		if key != "page" && key != "done" && key != "undo" && w.values.Get(key) != "" {
			values.Set(key, w.values.Get(key))
		}
	}
	values.Del(name)
	if value != "" {
		values.Set(name, value)
	}
	return "?" + values.Encode()
}

// pageLink is the address of another page of the same list.
func (w listWanted) pageLink(page int) string {
	link := w.link("page", "")
	if link != "?" {
		link += "&"
	}
	return link + "page=" + strconv.Itoa(page)
}

// sorted marks the column that the list is sorted by, and links the others. The first column
// that can be sorted is the default.
func (w listWanted) sorted(columns []ListColumn) []ListColumn {
	current, descending := strings.CutPrefix(w.sort, "-")
	if !slices.ContainsFunc(columns, func(c ListColumn) bool { return c.key != "" && c.key == current }) {
		current, descending = "", false
	}
	for i := range columns {
		column := &columns[i]
		if column.key == "" {
			continue
		}
		column.Sorted, column.Path = "none", w.link("sort", column.key)
		if column.key == current {
			column.Sorted = map[bool]string{true: "descending", false: "ascending"}[descending]
			if !descending {
				column.Path = w.link("sort", "-"+column.key)
			}
		}
	}
	return columns
}

// dropManaged removes the column that says who manages an entry if these pages manage all.
func (data *ListData) dropManaged(rows []ListRow) {
	last := len(data.Columns) - 1
	if data.Columns[last].key != originKey || slices.ContainsFunc(rows, func(row ListRow) bool { return row.keys[originKey] != "" }) {
		return
	}
	data.Columns = data.Columns[:last]
	for i := range rows {
		rows[i].Cells = rows[i].Cells[:len(rows[i].Cells)-1]
	}
}

// originKey is the sort key of the column that says who manages an entry.
const originKey = "origin"

// filter selects, sorts and cuts rows that are all in memory.
func (data *ListData) filter(w listWanted, rows []ListRow, labels map[string]string) {
	data.dropManaged(rows)
	counts := map[string]int{}
	matching := slices.DeleteFunc(rows, func(row ListRow) bool { return !hasWords(row.text, w.query) })
	for _, row := range matching {
		counts[row.State.Key]++
	}
	all := len(matching)
	if w.state != "" {
		matching = slices.DeleteFunc(matching, func(row ListRow) bool { return row.State.Key != w.state })
	}
	if key, descending := strings.CutPrefix(w.sort, "-"); slices.ContainsFunc(data.Columns, func(c ListColumn) bool { return c.key != "" && c.key == key }) {
		slices.SortStableFunc(matching, func(x, y ListRow) int {
			order := cmp.Compare(x.keys[key], y.keys[key])
			if descending {
				return -order
			}
			return order
		})
	}
	data.states(w, counts, all, labels)
	data.Total = len(matching)
	from := min((w.page-1)*ops.PageSize, len(matching))
	data.Rows = matching[from:min(from+ops.PageSize, len(matching))]
	data.pages(w, from)
}

// states makes the links that select one state. They are left out if all rows have the same.
func (data *ListData) states(w listWanted, counts map[string]int, all int, labels map[string]string) {
	if len(counts) < 2 && w.state == "" {
		return
	}
	data.States = []ListState{{Label: "All", Path: w.link("state", ""), Count: all, Here: w.state == ""}}
	var keys []string
	for key := range counts {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y string) int { return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y)) })
	for _, key := range keys {
		data.States = append(data.States, ListState{Label: cmp.Or(labels[key], key), Path: w.link("state", key), Count: counts[key], Here: w.state == key})
	}
}

// pages fills in what the page shows, from the row with this index on.
func (data *ListData) pages(w listWanted, from int) {
	data.From, data.To = from+1, from+len(data.Rows)
	if w.page > 1 {
		data.Prev = w.pageLink(w.page - 1)
	}
	if data.To < data.Total {
		data.Next = w.pageLink(w.page + 1)
	}
}

// longEnough is from how many rows on a list has a filter.
const longEnough = 8

// showList renders a list page.
func (h *Handler) showList(c echo.Context, r *request, w listWanted, data ListData) error {
	data.ReadOnly, data.Query = h.Admin.ReadOnly, w.query
	for _, name := range []string{"q", "state", "connector", "group", "kind", "object", "author"} {
		data.Filtered = data.Filtered || w.values.Get(name) != ""
	}
	data.Search = data.Filtered || data.Total > longEnough
	data.All = h.Site.Path(strings.TrimPrefix(c.Request().URL.Path, h.Site.Path("")))
	if w.state != "" {
		data.Kept = append(data.Kept, ListKept{"state", w.state})
	}
	if w.sort != "" {
		data.Kept = append(data.Kept, ListKept{"sort", w.sort})
	}
	if data.ReadOnly {
		data.New, data.Empty.Action = nil, nil
	}
	if len(data.Rows) == 0 || data.Bulk != nil && len(data.Bulk.Acts) == 0 {
		data.Bulk = nil
	}
	data.Moves = slices.ContainsFunc(data.Rows, func(row ListRow) bool { return row.Up+row.Down != "" })
	data.Columns = w.sorted(data.Columns)
	return show(h, c, r, web.View[ListData]{Page: ListPage(), Title: i18n.Verbatim(data.Title), Data: data})
}

// bulk is the bulk acts of a list, as buttons.
func (h *Handler) bulk(list, path string) *ListBulk {
	if h.Admin.ReadOnly && list != ops.BulkPeople && list != ops.BulkTokens {
		return nil
	}
	b := &ListBulk{Path: h.Site.Path("/admin" + path + "/bulk")}
	for _, act := range ops.BulkActs(list) {
		b.Acts = append(b.Acts, BulkChoice{Act: act, Label: bulkWord(act), Danger: act != ops.BulkEnable && act != ops.BulkInvite})
	}
	return b
}

func bulkWord(act ops.BulkAct) string {
	return map[ops.BulkAct]string{
		ops.BulkDelete: "Delete", ops.BulkEnable: "Enable", ops.BulkDisable: "Disable", ops.BulkSignOut: "Sign out everywhere", ops.BulkInvite: "Create invitations",
		ops.BulkRevoke: "Revoke", ops.BulkRemove: "Remove",
	}[act]
}

// hasWords reports whether each word is in the text, which is in lower case.
func hasWords(text, words string) bool {
	for word := range strings.FieldsSeq(strings.ToLower(words)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// sortable writes a time or a number so that texts compare as they do.
func sortable[T time.Time | int | int64](value T) string {
	const digits = 20
	var text string
	switch v := any(value).(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		text = strconv.FormatInt(v.UnixMilli(), 10)
	case int:
		text = strconv.Itoa(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	}
	return strings.Repeat("0", max(digits-len(text), 0)) + text
}

// managedBy is a cell that says who manages an entry.
func managedBy(o store.Origin) ListCell {
	if o.Origin == store.OriginFile {
		return ListCell{Label: "Managed by", Text: "file " + o.OriginRef}
	}
	return ListCell{Label: "Managed by", Text: "admin pages"}
}
