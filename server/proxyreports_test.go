package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/proxy/feed"
)

// TestProxiesReport checks that events of a proxy appear in the audit log, for the proxy's own cluster, and only
// events that a proxy may report.
func TestProxiesReport(t *testing.T) {
	t.Parallel()
	w := setup(t)
	o := w.enrolProxy(t, "a")
	var lost atomic.Int64
	reporter := o.NewReporter(false, func(n int, _ error) { lost.Add(int64(n)) })
	now := w.clock.now()
	jane := audit.Event{Time: now, UserID: "usr_1", UserName: "corp:jane", ClusterID: "somebody else's", Reason: "short"}
	tell := func(name audit.Name, change func(*audit.Event)) {
		e := jane
		e.Name = name
		change(&e)
		if err := reporter.WriteEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*audit.Event) {}
	tell(audit.ProxyRequest, nothing) // such events would only fill the table
	tell(audit.ProxyRequest, func(e *audit.Event) { e.Reason, e.Detail = "upgrade", "POST /exec\r\n"+strings.Repeat("x", 3000) })
	tell(audit.ProxyActedAs, func(e *audit.Event) { e.Time = now.Add(-30 * time.Minute) })
	tell(audit.ProxyRefused, func(e *audit.Event) { e.Time = now.Add(time.Hour) })
	tell(audit.ProxyRefused, func(e *audit.Event) { e.UserName = "" }) // an unauthenticated client could cause these events
	tell(audit.ProxyDenied, nothing)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := reporter.Run(ctx); err != nil || lost.Load() != 0 {
		t.Fatalf("%v, lost %d", err, lost.Load())
	}
	for name, want := range map[audit.Name]int{audit.ProxyRequest: 1, audit.ProxyActedAs: 1, audit.ProxyRefused: 1, audit.ProxyDenied: 1} {
		rows := w.events(t, name)
		if len(rows) != want {
			t.Errorf("%s: %d events, want %d", name, len(rows), want)
			continue
		}
		if rows[0].ClusterID != "a" || rows[0].UserName != "corp:jane" || rows[0].Time.Time().After(now) || strings.ContainsAny(rows[0].Detail, "\r\n") || len(rows[0].Detail) > 1000 {
			t.Errorf("%s: %+v", name, rows[0])
		}
	}
	if when := w.events(t, audit.ProxyActedAs)[0].Time.Time(); when.Sub(now.Add(-30*time.Minute)).Abs() > time.Second {
		t.Errorf("it happened at %v", when)
	}

	// A client that is refused in a loop does not fill the database.
	flood := o.NewReporter(false, func(n int, why error) {
		if errors.Is(why, feed.ErrRateLimited) {
			lost.Add(int64(n))
		}
	})
	for range 3000 {
		tell := jane
		tell.Name = audit.ProxyDenied
		if err := flood.WriteEvent(t.Context(), tell); err != nil {
			t.Fatal(err)
		}
	}
	if n := lost.Swap(0); n != 2000 {
		t.Errorf("of 3,000 refusals at once %d are not told, want 2,000", n)
	}

	// A compromised proxy cannot write other events.
	all := o.NewReporter(true, func(n int, why error) {
		lost.Add(int64(n))
		if !strings.Contains(why.Error(), "can’t report the event") {
			t.Error(why)
		}
	})
	forged := jane
	forged.Name = audit.PasswordSet
	if err := errors.Join(all.WriteEvent(t.Context(), forged), all.Run(ctx)); err != nil {
		t.Fatal(err)
	}
	if lost.Load() != 1 || len(w.events(t, audit.PasswordSet)) != 0 {
		t.Errorf("a forged event was taken; lost %d", lost.Load())
	}
	if rows := w.events(t, audit.ProxyReportRefused); len(rows) == 0 || rows[0].Reason != string(audit.PasswordSet) || rows[0].ClusterID != "a" {
		t.Errorf("nobody hears of it: %+v", rows)
	}
	resp, err := http.Post(w.issuer+proxyfeed.ReportPath, "application/json", strings.NewReader(`{"events":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger reports: %s", resp.Status)
	}
}
