package proxyapi

import (
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
)

// reportable are the audit events that a proxy may report.
func reportable() []audit.Name {
	return []audit.Name{audit.ProxyRequest, audit.ProxyActedAs, audit.ProxyRefused, audit.ProxyDenied, audit.ProxyStreamEnded, audit.ProxySessionEnded}
}

// maxAge is the largest age of a reported event. A proxy keeps its events in memory only.
const maxAge = time.Hour

const (
	// reportRate and reportBurst limit the events of one proxy on one replica, in events a second. They are twice
	// what a proxy sends, so that a stolen proxy identity cannot fill the database.
	reportRate  = 40
	reportBurst = 2000
)

// allowance limits the events of each proxy.
type allowance struct {
	mu     sync.Mutex
	limits map[string]*rate.Limiter
}

func (a *allowance) allows(proxyID string, events int, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits == nil {
		a.limits = map[string]*rate.Limiter{}
	}
	if a.limits[proxyID] == nil {
		a.limits[proxyID] = rate.NewLimiter(reportRate, reportBurst)
	}
	return a.limits[proxyID].AllowN(now, events)
}

// recording stores a part of a recording of a shell.
func (h *Handler) recording(c echo.Context) (any, error) {
	proxy, _, err := h.authenticate(c)
	if err != nil {
		return nil, err
	}
	var part proxyfeed.RecordingPart
	if err := decode(c, &part); err != nil {
		return nil, err
	}
	return struct{}{}, h.Recordings.AddPart(c.Request().Context(), proxy, part)
}

// report stores the audit events of a proxy. The cluster comes from the proxy's enrolment, never from the event.
func (h *Handler) report(c echo.Context) (any, error) {
	proxy, cluster, err := h.authenticate(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	var in proxyfeed.Report
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	if len(in.Events) > proxyfeed.MaxEventsPerReport {
		return nil, errs.New(errs.Invalid, "The report has too many events. Send at most %d at once.", proxyfeed.MaxEventsPerReport)
	}
	if !h.reports.allows(proxy.ID, len(in.Events), h.Now()) {
		h.Audit.LogOnly(ctx, audit.Event{Name: audit.ProxyReportRefused, ClusterID: cluster.ID, Address: c.RealIP(), Reason: "too_often", Detail: proxy.ID + " " + proxy.Name})
		return nil, errs.New(errs.Denied, "The report was refused: this proxy has sent more events than the limit allows. Try again later.")
	}
	now, events := h.Now().UTC(), make([]audit.Event, 0, len(in.Events))
	for _, e := range in.Events {
		if !slices.Contains(reportable(), audit.Name(e.Name)) {
			h.Audit.Record(ctx, audit.Event{Name: audit.ProxyReportRefused, ClusterID: cluster.ID, Address: c.RealIP(), Reason: line(e.Name), Detail: proxy.ID + " " + proxy.Name})
			return nil, errs.New(errs.Invalid, "The report was refused: a proxy can’t report the event %q. Update the proxy to the version of the server.", line(e.Name))
		}
		when := e.Time.UTC()
		if when.After(now) || now.Sub(when) > maxAge {
			when = now
		}
		events = append(events, audit.Event{
			Name: audit.Name(e.Name), Time: when, ClusterID: cluster.ID, RequestID: line(e.RequestID), UserID: line(e.UserID), UserName: longLine(e.UserName),
			SignInID: line(e.SignInID), DeviceID: line(e.DeviceID), TokenID: line(e.TokenID), Address: line(e.Address), Reason: line(e.Reason), Detail: longLine(e.Detail),
		})
	}
	if err := h.Store.WriteEvents(ctx, events); err != nil {
		return nil, err
	}
	for _, e := range events {
		h.Audit.RecordStored(ctx, e, h.Store)
	}
	return struct{}{}, nil
}
