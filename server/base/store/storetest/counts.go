package storetest

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// all is more events than any test stores.
const all = 1_000_000

// countedReasons are the names of the events whose reasons are counted apart.
func countedReasons() []string {
	return []string{"token.issued", "token.refused", "sign_in.failed", "sign_in.refused"}
}

// CompareCounts compares the counts of audit events with the events that are stored.
func CompareCounts(t *testing.T, s *store.Store) {
	t.Helper()
	compare(t, s, func(at store.Instant) store.Instant { return at - at%3_600_000 })
}

// CompareDailyCounts is CompareCounts for counts by the day (UTC).
func CompareDailyCounts(t *testing.T, s *store.Store) {
	t.Helper()
	compare(t, s, func(at store.Instant) store.Instant { return at - at%86_400_000 })
}

// compare counts the events that are stored, by a part of the time.
func compare(t *testing.T, s *store.Store, part func(store.Instant) store.Instant) {
	t.Helper()
	events, err := s.FindEvents(t.Context(), store.EventQuery{Limit: all})
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events, error %v", len(events), err)
	}
	type key struct {
		Name        string
		At          store.Instant
		Reason, Of  string
		ClusterTime bool
	}
	want, got := map[key]int64{}, map[key]int64{}
	for _, e := range events {
		reason := ""
		if slices.Contains(countedReasons(), e.Name) {
			reason = e.Reason
		}
		want[key{Name: e.Name, At: part(e.Time), Reason: reason, Of: e.ConnectorID}]++
		if e.ClusterID != "" {
			want[key{Of: e.ClusterID, ClusterTime: true}]++
		}
	}
	counts, err := s.EventCounts(t.Context(), store.CountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(counts, func(a, b store.EventCount) int { return cmp.Compare(a.Hour, b.Hour) }) {
		t.Error("counts are not in the order of their hours")
	}
	for _, c := range counts {
		got[key{Name: c.Name, At: part(c.Hour), Reason: c.Reason, Of: c.ConnectorID}] += c.Events
	}
	clusters, err := s.ClusterTotals(t.Context(), store.CountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clusters {
		got[key{Of: c.ClusterID, ClusterTime: true}] += c.Events
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-events +counts):\n%s", diff)
	}
}
