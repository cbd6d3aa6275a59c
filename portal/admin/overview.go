package admin

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/version"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// OverviewData is the first page.
type OverviewData struct {
	*ops.Overview
	// Open says that a step of the first hour is left.
	Open bool
	// SetUp says that the admin comes from the setup link.
	SetUp bool
	// Month says that the numbers are of 30 days, not of 24 hours.
	Month bool
	// Summary says how things are, in a sentence.
	Summary string
	// Shown are the first things that need attention, More the others, which are folded.
	Shown, More []ops.Notice
	Tiles       []Tile
	// Health has a square for each cluster; Slowest is the cluster that cuts off last.
	Health              chart.Grid
	Slowest, SlowestFor string
	Upstreams           []UpstreamRow
	// Old are clusters whose proxies have another version than this server.
	Old     []OldProxy
	Version string
	Lines   []EventLine
}

// Tile is a number with its line over time.
type Tile struct {
	Label, Number, Change, Tone string
	Chart                       chart.Line
}

// UpstreamRow is how a connector is.
type UpstreamRow struct{ Name, Path, State, Note string }

// OldProxy is a cluster whose proxies should be upgraded.
type OldProxy struct{ Cluster, Path, Versions string }

// OverviewPage is the first page of an admin.
func OverviewPage() templates.Page[OverviewData] {
	return templates.Define[OverviewData]("admin/overview")
}

func (h *Handler) mountOverview(add func(method, path string, handle handler)) {
	add(http.MethodGet, "", h.overview)
	add(http.MethodGet, "/diagnostics", h.diagnostics)
}

func (h *Handler) overview(c echo.Context, r *request) error {
	ctx := c.Request().Context()
	o, err := h.Admin.Overview(ctx, r.caller)
	if err != nil {
		return err
	}
	data := OverviewData{Overview: o, SetUp: c.QueryParam("welcome") != "", Month: c.QueryParam("days") == "30", Lines: h.lines(o.Events), Version: version.String()}
	activity, err := h.Admin.Activity(ctx, r.caller, data.Month)
	if err != nil {
		return err
	}
	data.Tiles = tiles(activity, data.Month, h.Now())
	clusters, err := h.Admin.ClusterHealth(ctx, r.caller)
	if err != nil {
		return err
	}
	h.health(&data, clusters)
	infos, err := h.Admin.Connectors(ctx, r.caller)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if row, shown := upstreamRow(info, activity.Connectors[info.ID]); shown {
			row.Path = h.Site.Path("/admin/connectors/" + url.PathEscape(info.ID))
			data.Upstreams = append(data.Upstreams, row)
		}
	}
	for _, todo := range o.Todos {
		data.Open = data.Open || !todo.Done
	}
	data.Summary = summary(len(o.Notices))
	data.Shown, data.More = o.Notices[:min(len(o.Notices), maxNotices)], o.Notices[min(len(o.Notices), maxNotices):]
	return show(h, c, r, web.View[OverviewData]{Page: OverviewPage(), Title: i18n.T("Overview"), Data: data})
}

// maxNotices is how many things that need attention are shown at once.
const maxNotices = 6

func summary(notices int) string {
	switch notices {
	case 0:
		return "Nothing needs your attention."
	case 1:
		return "1 thing needs your attention."
	}
	return strconv.Itoa(notices) + " things need your attention."
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
