package admin

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/chart"
	ops "github.com/fairlead-auth/fairlead/server/admin"
)

// tiles draws the numbers of the overview.
func tiles(a *ops.Activity, month bool, now time.Time) []Tile {
	step, usual, per := time.Hour, "a week ago", "by the hour"
	than := "than last " + now.UTC().Weekday().String()
	if month {
		step, usual, per, than = 24*time.Hour, "30 days before", "by the day", "than in the 30 days before"
	}
	seconds := func(v float64) string { return chart.Duration(time.Duration(v * float64(time.Second))) }
	var list []Tile
	for _, t := range []struct {
		id, label string
		series    ops.Series
		// much is how many times as much is worth a look; 0 never is.
		much   float64
		format func(float64) string
	}{
		{"sign-ins", "Sign-ins", a.SignIns, 0, nil},
		{"renewals", "Token renewals", a.Renewals, 0, nil},
		{"refusals", "Refusals", a.Refusals, 2, nil},
		{"latency", "Token latency (p95)", a.Latency, 2, seconds},
	} {
		tile := Tile{Label: t.label, Number: chart.Count(int64(math.Round(t.series.Total)))}
		if t.format != nil {
			tile.Number = t.format(t.series.Total)
		}
		tile.Change, tile.Tone = change(t.series, t.much, than)
		tile.Chart = chart.Line{ID: "chart-" + t.id, Title: t.label + " " + per, UsualLabel: usual, Span: step, Points: t.series.Points, Format: t.format}
		list = append(list, tile)
	}
	return list
}

// change compares a number with the one before in words.
func change(s ops.Series, much float64, than string) (text, tone string) {
	const same = 0.005
	switch ratio := s.Total / s.Before; {
	case s.Total == 0 && s.Before == 0:
		return "none before either", ""
	case s.Before == 0:
		return "none before", ""
	case math.Abs(ratio-1) < same:
		return "as much as before", ""
	case ratio >= 2:
		if much > 0 && ratio >= much {
			tone = "bad"
		}
		return fmt.Sprintf("%s × as much %s", trimmed(ratio), strings.Replace(than, "than", "as", 1)), tone
	case ratio > 1:
		return fmt.Sprintf("%.0f %% more %s", math.Max(1, 100*(ratio-1)), than), ""
	default:
		return fmt.Sprintf("%.0f %% less %s", math.Max(1, 100*(1-ratio)), than), ""
	}
}

func trimmed(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }

// maxHealthRows bounds the table behind the squares.
const maxHealthRows = 100

// health draws the clusters.
func (h *Handler) health(data *OverviewData, clusters []ops.ClusterHealth) {
	data.Health = chart.Grid{Title: "Clusters", Columns: []string{"State", "Last contact (UTC)", "Slowest revocation"}, MaxRows: maxHealthRows}
	var slowest time.Duration
	for _, c := range clusters {
		state, why := c.State()
		contact := "never"
		if !c.LastContact.IsZero() {
			contact = c.LastContact.UTC().Format("2 Jan 15:04:05")
		}
		path := h.Site.Path("/admin/clusters/" + url.PathEscape(c.Cluster.ID))
		data.Health.Things = append(data.Health.Things, chart.Thing{Name: c.Cluster.ID, State: chart.State(state), Path: path, Cells: []string{why, contact, longest(c.RevocationDelay)}})
		if c.RevocationDelay > slowest {
			slowest, data.Slowest, data.SlowestFor = c.RevocationDelay, c.Cluster.ID, longest(c.RevocationDelay)
		}
		if len(c.Old) > 0 {
			data.Old = append(data.Old, OldProxy{Cluster: c.Cluster.ID, Path: path + "/connect", Versions: strings.Join(c.Old, ", ")})
		}
	}
}

// longest writes a bound of time.
func longest(d time.Duration) string {
	switch {
	case d < time.Minute:
		return chart.Duration(d)
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", (d+time.Minute-1)/time.Minute)
}

// upstreamRow says how a connector is. Drafts are left out: people can't sign in with them.
func upstreamRow(info ops.ConnectorInfo, health ops.UpstreamHealth) (UpstreamRow, bool) {
	row := UpstreamRow{Name: info.Name, State: string(chart.OK)}
	switch {
	case info.State == ops.StateFailing:
		row.State, row.Note = string(chart.Bad), info.Fault
	case info.State != ops.StateEnabled:
		return row, false
	case health.Answers == 0:
		row.State, row.Note = "", "not asked in this time"
	default:
		row.Note = "p95 " + chart.Duration(health.P95)
		const seldom = 20 // one of so many may fail
		if health.Failed*seldom >= health.Answers {
			row.State = string(chart.Warning)
		}
		if health.Failed > 0 {
			row.Note = fmt.Sprintf("%d of %d answers failed, %s", health.Failed, health.Answers, row.Note)
		}
	}
	return row, true
}
