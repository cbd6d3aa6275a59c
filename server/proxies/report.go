package proxies

import (
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
)

// reportable are the events that a proxy may tell of: its own.
func reportable() []audit.Name {
	return []audit.Name{audit.ProxyRequest, audit.ProxyActedAs, audit.ProxyRefused, audit.ProxyDenied, audit.ProxyStreamEnded, audit.ProxySessionEnded}
}

// maxAge is how old an event may be when it is told: a proxy keeps them only in memory.
const maxAge = time.Hour

// report keeps what happened at a proxy. Whose cluster it was is not the proxy's to say.
func (h *Handler) report(c echo.Context) (any, error) {
	proxy, cluster, err := h.who(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	var in proxyfeed.Report
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	if len(in.Events) > proxyfeed.MaxReport {
		return nil, errs.New(errs.Invalid, "Report at most "+strconv.Itoa(proxyfeed.MaxReport)+" events at once.")
	}
	now, events := h.Now().UTC(), make([]audit.Event, 0, len(in.Events))
	for _, e := range in.Events {
		if !slices.Contains(reportable(), audit.Name(e.Name)) {
			h.Audit.Record(ctx, audit.Event{Name: audit.ProxyReportRefused, ClusterID: cluster.ID, Address: c.RealIP(), Reason: line(e.Name), Detail: proxy.ID + " " + proxy.Name})
			return nil, errs.New(errs.Invalid, "A proxy can't report an event "+strconv.Quote(line(e.Name))+".")
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
		h.Audit.RecordKept(ctx, e, h.Store)
	}
	return struct{}{}, nil
}
