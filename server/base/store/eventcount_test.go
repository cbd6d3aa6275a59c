package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

func pick[T any](from ...T) T { return from[rand.N(len(from))] }

// randomEvent is an event of the last twenty days.
func randomEvent() audit.Event {
	return audit.Event{
		Name: pick(audit.Names()...), Time: noon().Add(-rand.N(20 * 24 * time.Hour)), Reason: pick("", "refresh_token", "authorization_code", "not_found"),
		ConnectorID: pick("", "corp", "ldap"), ClusterID: pick("", "prod", "dev", "lab"),
	}
}

// TestCountsAreThoseOfTheEvents writes random histories in every way there is, from two
// replicas at once, while one of them compacts the counts.
func TestCountsAreThoseOfTheEvents(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		var wg sync.WaitGroup
		for writer := range 6 {
			s := pools[writer%2]
			d, token := device(t, s, u)
			wg.Go(func() {
				for i := range 15 {
					var batch []audit.Event
					for range rand.N(6) {
						batch = append(batch, randomEvent())
					}
					if err := s.WriteEvents(t.Context(), batch); err != nil {
						t.Error(err)
					}
					if err := s.WriteEvent(t.Context(), randomEvent()); err != nil {
						t.Error(err)
					}
					r := rotation(d, token)
					r.Successor.Hash, r.Access.Hash = fmt.Sprint(d.ID, "r", i), fmt.Sprint(d.ID, "a", i)
					r.Event = randomEvent()
					if won, err := s.Rotate(t.Context(), r, noon()); err != nil || won != (i == 0) {
						t.Errorf("rotation %d: %v, %v", i, won, err)
					}
					if writer == 0 {
						if _, err := s.Compact(t.Context(), noon()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		storetest.CompareDailyCounts(t, pools[1])
	})
}

// TestCompactKeepsTheSums compares the counts before and after they are compacted.
func TestCompactKeepsTheSums(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for range 4 { // connections, and so slots
			wg.Go(func() {
				for range 60 {
					if err := s.WriteEvent(t.Context(), randomEvent()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		storetest.CompareCounts(t, s)
		compactAll(t, s)
		storetest.CompareDailyCounts(t, s)
		counts, err := s.EventCounts(t.Context(), store.CountQuery{})
		if err != nil {
			t.Fatal(err)
		}
		const day = store.Instant(86_400_000)
		daily := store.At(noon().Add(-store.HourlyRetention).Truncate(24 * time.Hour))
		for _, c := range counts {
			if c.Hour < daily && c.Hour%day != 0 {
				t.Errorf("%s of %v is still counted by the hour", c.Name, c.Hour.Time())
			}
		}
		if rows, err := s.CountSlots(t.Context(), noon().Add(-4*time.Hour)); err != nil || rows != 0 {
			t.Errorf("%d rows of old counts are not merged, error %v", rows, err)
		}
	})
}

func compactAll(t *testing.T, s *store.Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Compact(t.Context(), noon()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCountQueries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for i, e := range []audit.Event{
			{Name: audit.SignInSucceeded, Time: noon(), ConnectorID: "corp"},
			{Name: audit.SignInSucceeded, Time: noon().Add(59 * time.Minute), ConnectorID: "corp"},
			{Name: audit.SignInSucceeded, Time: noon().Add(time.Hour), ConnectorID: "ldap"},
			{Name: audit.TokenIssued, Time: noon(), ConnectorID: "corp", ClusterID: "prod", Reason: "refresh_token"},
		} {
			if err := s.WriteEvent(t.Context(), e); err != nil {
				t.Fatal(i, err)
			}
		}
		at := store.At(noon())
		counts, err := s.EventCounts(t.Context(), store.CountQuery{From: at, To: store.At(noon().Add(time.Hour)), Names: []string{"sign_in.succeeded", "token.issued"}, Connector: "corp"})
		want := []store.EventCount{
			{Name: "sign_in.succeeded", Hour: at, ConnectorID: "corp", Events: 2},
			{Name: "token.issued", Hour: at, Reason: "refresh_token", ConnectorID: "corp", Events: 1},
		}
		if diff := cmp.Diff(want, counts); diff != "" || err != nil {
			t.Errorf("counts (-want +got):\n%s\nerror %v", diff, err)
		}
		totals, err := s.EventTotals(t.Context(), store.CountQuery{From: at})
		want = []store.EventCount{
			{Name: "sign_in.succeeded", ConnectorID: "corp", Events: 2}, {Name: "sign_in.succeeded", ConnectorID: "ldap", Events: 1}, {Name: "token.issued", ConnectorID: "corp", Events: 1},
		}
		if diff := cmp.Diff(want, totals); diff != "" || err != nil {
			t.Errorf("totals (-want +got):\n%s\nerror %v", diff, err)
		}
		clusters, err := s.ClusterTotals(t.Context(), store.CountQuery{From: store.At(noon().Truncate(24 * time.Hour))})
		if diff := cmp.Diff([]store.ClusterEventCount{{ClusterID: "prod", Events: 1}}, clusters); diff != "" || err != nil {
			t.Errorf("clusters (-want +got):\n%s\nerror %v", diff, err)
		}
	})
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		at, old := store.At(noon()), store.At(noon().Add(-12*24*time.Hour))
		list := []store.Latency{
			{Subject: store.SubjectToken, Hour: at, Took: 1000, Answers: 2}, {Subject: store.SubjectToken, Hour: at, Failed: true, Answers: 1},
			{Subject: store.ConnectorSubject("corp"), Hour: old, Took: 1000, Answers: 3},
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := pools[i%2].AddLatencies(t.Context(), list); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		compactAll(t, pools[0])
		got, err := pools[1].Latencies(t.Context(), 0, at+1)
		want := []store.Latency{
			{Subject: "connector/corp", Hour: store.At(old.Time().Truncate(24 * time.Hour)), Took: 1000, Answers: 24},
			{Subject: "token", Hour: at, Took: 1000, Answers: 16}, {Subject: "token", Hour: at, Failed: true, Answers: 8},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("latencies (-want +got):\n%s\nerror %v", diff, err)
		}
		if err := pools[0].AddLatencies(t.Context(), []store.Latency{{Hour: 1}}); err == nil {
			t.Error("a latency of no whole hour is taken")
		}
	})
}
