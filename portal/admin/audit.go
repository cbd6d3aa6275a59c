package admin

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/audit/sentence"
	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// eventsPerPage keeps the page, with the whole record of each event, below 50 KB.
const eventsPerPage = 40

func (h *Handler) mountAudit(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/audit", h.audit)
	add(http.MethodGet, "/audit/export", h.exportAudit)
	add(http.MethodGet, "/audit/story/:id", h.story)
	add(http.MethodPost, "/audit/searches", h.saveSearch)
	add(http.MethodPost, "/audit/searches/:id/remove", h.removeSearch)
}

// AuditData is the audit log.
type AuditData struct {
	Query    store.EventQuery
	From, To string
	Kind     string
	Facets   []Facet
	Searches []SearchRow
	// Address is the filters, for saving them. Reload is this page again.
	Address, Reload string
	// Live says that the script looks for new events; LivePath switches that.
	Live     bool
	LivePath string
	Names    []string
	Lines    []EventLine
	Next     string
	// Searched is since when events were looked through, if older ones were not; Further is the address to go on.
	// Most is how many events a page looks through.
	Searched      *time.Time
	Further, Most string
	JSON          string
	CSV           string
	Filtered      bool
	Open          bool
}

// AuditPage is the audit log.
func AuditPage() templates.Page[AuditData] { return templates.Define[AuditData]("admin/audit") }

// eventQuery reads the filters from the address.
func eventQuery(values url.Values) (store.EventQuery, string, string) {
	trimmed := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	q := store.EventQuery{
		Name: trimmed("name"), User: trimmed("user"), Connector: trimmed("connector"), Cluster: trimmed("cluster"), Client: trimmed("client"),
		Request: trimmed("request"), Address: trimmed("address"), Text: trimmed("text"), After: values.Get("after"), Limit: eventsPerPage,
	}
	q.Names = sentence.Kind(values.Get("kind")).Names()
	from, to := trimmed("from"), trimmed("to")
	q.From, q.To = days(from, to)
	return q, from, to
}

// days are the bounds of a span of days. A text that is not a day sets no bound.
func days(first, last string) (from, to store.Instant) {
	if day, err := time.Parse(time.DateOnly, first); err == nil {
		from = store.At(day)
	}
	if day, err := time.Parse(time.DateOnly, last); err == nil {
		to = store.At(day.AddDate(0, 0, 1))
	}
	return from, to
}

func (h *Handler) audit(c echo.Context, r *request) error {
	values := c.QueryParams()
	query, from, to := eventQuery(values)
	events, until, searched, err := h.Admin.SearchEvents(c.Request().Context(), r.caller, query)
	if err != nil {
		return err
	}
	data := AuditData{
		Query: query, From: from, To: to, Kind: values.Get("kind"), Lines: h.lines(events), Address: strings.TrimPrefix(with(values), "?"), Reload: with(values),
		Live: values.Get("live") != "", LivePath: with(values, "live", "yes"),
	}
	if data.Live {
		data.LivePath = with(values)
	}
	if data.Facets, err = h.facets(c, r, query); err != nil {
		return err
	}
	if data.Searches, err = h.searches(c, r, data.Address); err != nil {
		return err
	}
	for _, name := range audit.Names() {
		data.Names = append(data.Names, string(name))
	}
	kept := url.Values{}
	for name := range values {
		if name != "after" && name != "live" && values.Get(name) != "" {
			kept.Set(name, values.Get(name))
			data.Filtered = true
			data.Open = data.Open || slices.Contains([]string{"client", "address", "request", "to", "name"}, name)
		}
	}
	data.JSON = h.Site.Path("/admin/audit/export?" + kept.Encode())
	kept.Set("format", "csv")
	data.CSV = h.Site.Path("/admin/audit/export?" + kept.Encode())
	kept.Del("format")
	if len(events) == eventsPerPage {
		kept.Set("after", events[len(events)-1].Cursor())
		data.Next = "?" + kept.Encode()
	}
	if searched != "" {
		at := until.Time().UTC()
		kept.Set("after", searched)
		data.Searched, data.Further, data.Most = &at, "?"+kept.Encode(), chart.Count(ops.MaxSearched)
	}
	return show(h, c, r, web.View[AuditData]{Page: AuditPage(), Title: i18n.T("Audit log"), Data: data})
}

// columns are those of an export.
func columns() []string {
	return []string{"time", "name", "user_name", "user_id", "actor_name", "actor_id", "address", "connector_id", "cluster_id", "client_id", "sign_in_id", "device_id", "token_id", "request_id", "reason", "detail"}
}

func values(e *store.AuditEvent) []string {
	return []string{
		e.Time.Time().Format(time.RFC3339Nano), e.Name, e.UserName, e.UserID, e.ActorName, e.ActorID, e.Address, e.ConnectorID, e.ClusterID, e.ClientID, e.SignInID, e.DeviceID,
		e.TokenID, e.RequestID, e.Reason, e.Detail,
	}
}

// exportAudit writes the events that the filters select, as JSON lines or as CSV.
func (h *Handler) exportAudit(c echo.Context, r *request) error {
	query, _, _ := eventQuery(c.QueryParams())
	query.After = ""
	res := c.Response()
	write, flush := jsonLines(res)
	kind, name := "application/x-ndjson", "audit.jsonl"
	if c.QueryParam("format") == "csv" {
		write, flush = csvLines(res)
		kind, name = "text/csv; charset=utf-8", "audit.csv"
	}
	res.Header().Set("Content-Type", kind)
	res.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := h.Admin.ExportEvents(c.Request().Context(), r.caller, query, write); err != nil {
		res.Header().Del("Content-Disposition")
		return err
	}
	return flush()
}

func jsonLines(res *echo.Response) (write func(*store.AuditEvent) error, flush func() error) {
	encoder := json.NewEncoder(res)
	return func(e *store.AuditEvent) error {
		line := map[string]string{}
		for i, value := range values(e) {
			if value != "" {
				line[columns()[i]] = value
			}
		}
		return encoder.Encode(line)
	}, func() error { return nil }
}

func csvLines(res *echo.Response) (write func(*store.AuditEvent) error, flush func() error) {
	out, begun := csv.NewWriter(res), false
	return func(e *store.AuditEvent) error {
			if !begun {
				begun = true
				if err := out.Write(columns()); err != nil {
					return err
				}
			}
			row := values(e)
			for i, cell := range row {
				// A spreadsheet must not run a user's text as a formula.
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
					row[i] = "'" + cell
				}
			}
			return out.Write(row)
		}, func() error {
			out.Flush()
			return out.Error()
		}
}
