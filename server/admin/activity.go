package admin

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	words "github.com/fairlead-auth/fairlead/internal/audit/sentence"
	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Activity holds sign-ins, renewals, refusals and latencies over a period.
type Activity struct {
	SignIns, Renewals, Refusals, Latency Series
	// Connectors holds the health of the upstreams, by the connector's id.
	Connectors map[string]UpstreamHealth
}

// Series is one number over time, with the same number in an earlier period.
type Series struct {
	Points []chart.Point
	// Total is the sum over the period, or for latencies the 95th percentile in seconds. Before is the Total of the
	// earlier period.
	Total, Before float64
}

// UpstreamHealth counts the responses of a connector's upstream.
type UpstreamHealth struct {
	// P95 is the 95th percentile of the response times. It is 0 without responses.
	P95             time.Duration
	Failed, Answers int64
}

// period is the time that an Activity covers, and its parts.
type period struct {
	from, end time.Time
	step      time.Duration
	points    int
	// back is the distance to the earlier period.
	back time.Duration
}

const week = 7 * 24 * time.Hour

// periodOf returns the last 24 hours in hours, or the last 30 days in days (UTC). The last part is incomplete.
func periodOf(now time.Time, month bool) period {
	s := period{end: now, step: time.Hour, points: 24, back: week}
	if month {
		s = period{end: now, step: 24 * time.Hour, points: 30, back: 30 * 24 * time.Hour}
	}
	s.from = now.UTC().Truncate(s.step).Add(-time.Duration(s.points-1) * s.step)
	return s
}

// place returns the part that contains an hour.
func (s period) place(at store.Instant, back time.Duration) (int, bool) {
	i := int(at.Time().Sub(s.from.Add(-back)) / s.step)
	return i, !at.Time().Before(s.from.Add(-back)) && i < s.points
}

// until is the end of the earlier period. It includes the whole last part, because those counts may already be
// counts of a day. series then takes the share that has passed.
func (s period) until() store.Instant {
	return store.At(s.from.Add(time.Duration(s.points)*s.step - s.back))
}

// Activity counts sign-ins, token renewals and refusals, and measures latencies, over the last
// 24 hours beside the same hours a week ago, or over the last 30 days beside the 30 days before.
func (a *Admin) Activity(ctx context.Context, c Caller, month bool) (*Activity, error) {
	if err := a.authorize(ctx, c, ReadSettings, "read activity"); err != nil {
		return nil, err
	}
	s := periodOf(a.Now(), month)
	list := &Activity{}
	for _, part := range []struct {
		into  *Series
		names []string
		// reason selects one reason; empty selects all.
		reason string
	}{
		{&list.SignIns, []string{string(audit.SignInSucceeded)}, ""},
		{&list.Renewals, []string{string(audit.TokenIssued)}, "refresh_token"},
		{&list.Refusals, append(words.Refused.Names(), string(audit.SignInFailed)), ""},
	} {
		var err error
		if *part.into, err = a.series(ctx, s, part.names, part.reason); err != nil {
			return nil, err
		}
	}
	return list, a.latencies(ctx, s, list)
}

func (a *Admin) series(ctx context.Context, s period, names []string, reason string) (Series, error) {
	now, err := a.Store.EventCounts(ctx, store.CountQuery{From: store.At(s.from), Names: names})
	if err != nil {
		return Series{}, err
	}
	before, err := a.Store.EventCounts(ctx, store.CountQuery{From: store.At(s.from.Add(-s.back)), To: s.until(), Names: names})
	if err != nil {
		return Series{}, err
	}
	list := Series{Points: s.empty(0)}
	for _, row := range now {
		if i, in := s.place(row.Hour, 0); in && (reason == "" || row.Reason == reason) {
			list.Points[i].Value += float64(row.Events)
			list.Total += float64(row.Events)
		}
	}
	for _, row := range before {
		if i, in := s.place(row.Hour, s.back); in && (reason == "" || row.Reason == reason) {
			list.Points[i].Usual += float64(row.Events)
		}
	}
	for i, p := range list.Points {
		list.Before += p.Usual * s.passed(i)
	}
	return list, nil
}

// passed returns the share of a part that is over.
func (s period) passed(i int) float64 {
	share := float64(s.end.Sub(s.from.Add(time.Duration(i)*s.step))) / float64(s.step)
	return math.Max(0, math.Min(1, share))
}

// empty returns the points without values.
func (s period) empty(usual float64) []chart.Point {
	points := make([]chart.Point, s.points)
	for i := range points {
		points[i] = chart.Point{At: s.from.Add(time.Duration(i) * s.step), Usual: usual}
	}
	return points
}

func (a *Admin) latencies(ctx context.Context, s period, list *Activity) error {
	now, err := a.Store.Latencies(ctx, store.At(s.from), store.At(s.end.Add(time.Hour)))
	if err != nil {
		return err
	}
	before, err := a.Store.Latencies(ctx, store.At(s.from.Add(-s.back)), s.until())
	if err != nil {
		return err
	}
	parts, earlier := make([][]store.Latency, s.points), make([][]store.Latency, s.points)
	var all, usual []store.Latency
	upstreams := map[string][]store.Latency{}
	for _, row := range now {
		if id, found := strings.CutPrefix(row.Subject, store.ConnectorSubject("")); found {
			upstreams[id] = append(upstreams[id], row)
		}
		if i, in := s.place(row.Hour, 0); in && row.Subject == store.SubjectToken {
			parts[i], all = append(parts[i], row), append(all, row)
		}
	}
	for _, row := range before {
		if i, in := s.place(row.Hour, s.back); in && row.Subject == store.SubjectToken {
			earlier[i], usual = append(earlier[i], row), append(usual, row)
		}
	}
	const share = 0.95
	list.Latency = Series{Points: s.empty(math.NaN()), Total: latency.Quantile(all, share).Seconds(), Before: latency.Quantile(usual, share).Seconds()}
	for i := range list.Latency.Points {
		list.Latency.Points[i].Value = latency.Quantile(parts[i], share).Seconds()
		if len(earlier[i]) > 0 {
			list.Latency.Points[i].Usual = latency.Quantile(earlier[i], share).Seconds()
		}
	}
	list.Connectors = map[string]UpstreamHealth{}
	for id, rows := range upstreams {
		h := UpstreamHealth{P95: latency.Quantile(rows, share)}
		h.Failed, h.Answers = latency.Failures(rows)
		list.Connectors[id] = h
	}
	return nil
}
