package admin_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// TestActivityIsThatOfTheEvents stores a random history and compares the activity with its events.
func TestActivityIsThatOfTheEvents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		names := []audit.Name{audit.SignInSucceeded, audit.SignInFailed, audit.AccessRefused, audit.TokenIssued, audit.ProxyRefused}
		var events []audit.Event
		for range 300 {
			e := audit.Event{Name: names[rand.N(len(names))], Time: b.now().Add(-rand.N(70 * 24 * time.Hour)), ConnectorID: "corp", Reason: []string{"refresh_token", "x"}[rand.N(2)]}
			events = append(events, e)
		}
		if err := s.WriteEvents(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		for _, compacted := range []bool{false, true} {
			for more := compacted; more; {
				var err error
				if more, err = s.Compact(t.Context(), b.now()); err != nil {
					t.Fatal(err)
				}
			}
			for _, month := range []bool{false, true} {
				step, n := time.Hour, 24
				if month {
					step, n = 24*time.Hour, 30
				}
				from := b.now().UTC().Truncate(step).Add(-time.Duration(n-1) * step)
				want := map[string]float64{}
				for _, e := range events {
					if e.Time.Before(from) {
						continue
					}
					switch {
					case e.Name == audit.SignInSucceeded:
						want["sign-ins"]++
					case e.Name == audit.TokenIssued && e.Reason == "refresh_token":
						want["renewals"]++
					case e.Name != audit.TokenIssued:
						want["refusals"]++
					}
				}
				got, err := b.Activity(t.Context(), shell(), month)
				if err != nil {
					t.Fatal(err)
				}
				for name, s := range map[string]float64{"sign-ins": got.SignIns.Total, "renewals": got.Renewals.Total, "refusals": got.Refusals.Total} {
					if s != want[name] {
						t.Errorf("month %v, compacted %v: %v %s, want %v", month, compacted, s, name, want[name])
					}
				}
				sum := 0.0
				for _, p := range got.Refusals.Points {
					sum += p.Value
				}
				if sum != got.Refusals.Total || len(got.Refusals.Points) != n {
					t.Errorf("%d points with the sum %v, want %d with %v", len(got.Refusals.Points), sum, n, got.Refusals.Total)
				}
			}
		}
	})
}
