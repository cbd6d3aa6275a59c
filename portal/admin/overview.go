package admin

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// OverviewData is the first page.
type OverviewData struct {
	*ops.Overview
	// Open says that a step of the first hour is left.
	Open bool
	// SetUp says that somebody came here from the setup link just now.
	SetUp bool
	Lines []EventLine
}

// OverviewPage is the first page of an admin.
func OverviewPage() templates.Page[OverviewData] {
	return templates.Define[OverviewData]("admin/overview")
}

func (h *Handler) mountOverview(add func(method, path string, handle handler)) {
	add(http.MethodGet, "", h.overview)
	add(http.MethodGet, "/diagnostics", h.diagnostics)
}

func (h *Handler) overview(c echo.Context, r *request) error {
	o, err := h.Admin.Overview(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	data := OverviewData{Overview: o, SetUp: c.QueryParam("welcome") != "", Lines: lines(o.Events)}
	for i := range data.Lines {
		data.Lines[i].RequestID = "" // the audit log has it; here it is in the way
	}
	for _, todo := range o.Todos {
		data.Open = data.Open || !todo.Done
	}
	return show(h, c, r, web.View[OverviewData]{Page: OverviewPage(), Title: i18n.T("Overview"), Data: data})
}

// EventLine is an audit event in a list.
type EventLine struct {
	store.AuditEvent
	// About joins what the event is about.
	About []string
}

func lines(events []store.AuditEvent) []EventLine {
	list := make([]EventLine, len(events))
	for i, e := range events {
		list[i] = EventLine{AuditEvent: e}
		for _, about := range []struct{ word, text string }{
			{"cluster", e.ClusterID}, {"client", e.ClientID}, {"connector", e.ConnectorID}, {"from", e.Address}, {"reason", e.Reason}, {"", e.Detail},
		} {
			if about.text != "" {
				list[i].About = append(list[i].About, joinWords(about.word, about.text))
			}
		}
	}
	return list
}

func joinWords(word, text string) string {
	if word == "" {
		return text
	}
	return word + " " + text
}

// DiagnosticsData is the page about this process.
type DiagnosticsData struct {
	FileFault, Effective, URL string
	// Seen is the address that the browser is at, when it is another.
	Seen     string
	Expiries []ops.Expiry
}

// DiagnosticsPage is the page about this process.
func DiagnosticsPage() templates.Page[DiagnosticsData] {
	return templates.Define[DiagnosticsData]("admin/diagnostics")
}

func (h *Handler) diagnostics(c echo.Context, r *request) error {
	expiries, err := h.Admin.CertificateEnds(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	data := DiagnosticsData{FileFault: h.Admin.FileFault(), Effective: h.Effective, URL: h.Site.Absolute(""), Expiries: expiries}
	if host := c.Request().Host; host != h.Site.Host() {
		data.Seen = host
	}
	return show(h, c, r, web.View[DiagnosticsData]{Page: DiagnosticsPage(), Title: i18n.T("Diagnostics"), Data: data})
}
