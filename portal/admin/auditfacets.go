package admin

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit/sentence"
	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// Chip is a filter that one press sets or removes. Count is how many events it shows; empty when
// counting would take too long.
type Chip struct {
	Label, Count, Path string
	Here               bool
}

// Facet is a row of chips that exclude each other.
type Facet struct {
	Label string
	Chips []Chip
}

// maxChips bounds the chips of clusters and connectors.
const maxChips = 8

// with returns the address of the page with one filter changed. An empty value removes it.
func with(values url.Values, changes ...string) string {
	kept := url.Values{}
	for name := range values {
		if value := values.Get(name); value != "" && name != "after" && name != "live" {
			kept.Set(name, value)
		}
	}
	for i := 0; i+1 < len(changes); i += 2 {
		kept.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			kept.Del(changes[i])
		}
	}
	return "?" + kept.Encode()
}

// facets are the chips above the log.
func (h *Handler) facets(c echo.Context, r *request, query store.EventQuery) ([]Facet, error) {
	counts, err := h.Admin.CountEvents(c.Request().Context(), r.caller, query)
	if err != nil {
		return nil, err
	}
	values := c.QueryParams()
	here := values.Get("kind")
	number := func(n int64) string {
		if !counts.Known {
			return ""
		}
		return chart.Count(n)
	}
	kinds := Facet{Label: "Kind", Chips: []Chip{{Label: "All", Count: number(counts.All), Path: with(values, "kind", "", "name", ""), Here: here == "" && query.Name == ""}}}
	for _, k := range sentence.Kinds() {
		if n := counts.Kinds[string(k)]; n > 0 || !counts.Known || here == string(k) {
			kinds.Chips = append(kinds.Chips, Chip{Label: k.Label(), Count: number(n), Path: with(values, "kind", string(k), "name", ""), Here: here == string(k)})
		}
	}
	list := []Facet{kinds}
	for _, part := range []struct {
		label, name string
		counts      map[string]int64
	}{{"Cluster", "cluster", counts.Clusters}, {"Connector", "connector", counts.Connectors}} {
		if facet := (Facet{Label: part.label, Chips: top(part.counts, values, part.name)}); len(facet.Chips) > 1 || values.Get(part.name) != "" {
			list = append(list, facet)
		}
	}
	return append(list, spans(values, h.Now())), nil
}

// top returns chips for the values with the most events, and for the one that is chosen.
func top(counts map[string]int64, values url.Values, name string) []Chip {
	ids := make([]string, 0, len(counts))
	for id := range counts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(max(-1, min(1, counts[b]-counts[a])))
		}
		return strings.Compare(a, b)
	})
	chosen := values.Get(name)
	ids = ids[:min(len(ids), maxChips)]
	if chosen != "" && !slices.Contains(ids, chosen) {
		ids = append(ids, chosen)
	}
	var chips []Chip
	for _, id := range ids {
		chip := Chip{Label: id, Path: with(values, name, id), Here: id == chosen}
		if n := counts[id]; n > 0 {
			chip.Count = chart.Count(n)
		}
		if chip.Here {
			chip.Path = with(values, name, "")
		}
		chips = append(chips, chip)
	}
	return chips
}

// spans are the chips for the time.
func spans(values url.Values, now time.Time) Facet {
	facet := Facet{Label: "Time", Chips: []Chip{{Label: "Any time", Path: with(values, "from", "", "to", ""), Here: values.Get("from")+values.Get("to") == ""}}}
	for _, s := range []struct {
		label string
		days  int
	}{{"Today (UTC)", 0}, {"7 days", 6}, {"30 days", 29}} {
		from := now.UTC().AddDate(0, 0, -s.days).Format(time.DateOnly)
		facet.Chips = append(facet.Chips, Chip{Label: s.label, Path: with(values, "from", from, "to", ""), Here: values.Get("from") == from && values.Get("to") == ""})
	}
	return facet
}

// SearchRow is a saved search.
type SearchRow struct {
	ID, Name, Path string
	Here           bool
}

func (h *Handler) searches(c echo.Context, r *request, address string) ([]SearchRow, error) {
	rows, err := h.Admin.Searches(c.Request().Context(), r.caller)
	if err != nil {
		return nil, err
	}
	var list []SearchRow
	for _, row := range rows {
		list = append(list, SearchRow{ID: row.ID, Name: row.Name, Path: h.Site.Path("/admin/audit?" + row.Query), Here: row.Query == address})
	}
	return list, nil
}

func (h *Handler) saveSearch(c echo.Context, r *request) error {
	query, err := url.ParseQuery(c.FormValue("query"))
	if err != nil {
		query = url.Values{}
	}
	address := with(query)
	if name := strings.TrimSpace(c.FormValue("name")); name != "" {
		if err := h.Admin.SaveSearch(c.Request().Context(), r.caller, name, strings.TrimPrefix(address, "?")); err != nil {
			return err
		}
	}
	return h.to(c, "/audit"+address)
}

func (h *Handler) removeSearch(c echo.Context, r *request) error {
	if err := h.Admin.RemoveSearch(c.Request().Context(), r.caller, c.Param("id")); err != nil {
		return err
	}
	return h.to(c, "/audit")
}

// StoryData is all that happened in one sign-in.
type StoryData struct {
	Person, PersonPath, SignIn string
	Lines                      []EventLine
	Recordings                 []RecordingRow
	// Cut says that there are more events than are shown.
	Cut bool
}

// StoryPage is all that happened in one sign-in.
func StoryPage() templates.Page[StoryData] { return templates.Define[StoryData]("admin/story") }

func (h *Handler) story(c echo.Context, r *request) error {
	s, err := h.Admin.Story(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	data := StoryData{Person: s.UserName, SignIn: c.Param("id"), Lines: h.lines(s.Events), Cut: s.Cut}
	if s.UserID != "" {
		data.PersonPath = h.Site.Path("/admin/people/" + url.PathEscape(s.UserID))
	}
	for _, row := range s.Recordings {
		data.Recordings = append(data.Recordings, RecordingRow{Recording: row, Path: h.Site.Path("/admin/recordings/" + row.ID), Length: clock(row.Duration)})
	}
	return show(h, c, r, web.View[StoryData]{Page: StoryPage(), Title: i18n.T("One sign-in"), Data: data})
}
