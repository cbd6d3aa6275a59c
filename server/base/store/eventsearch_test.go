package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// searched is an event with everything that a search can ask for.
func searched() audit.Event {
	e := randomEvent()
	e.Name = pick(audit.TokenIssued, audit.SignInSucceeded, audit.AccessRefused)
	e.Time = e.Time.Truncate(pick(time.Hour, 24*time.Hour)) // many events at the same time
	e.UserID, e.ActorID = pick("usr_a", "usr_b"), pick("", "usr_a")
	e.UserName = map[string]string{"usr_a": "corp:Ann", "usr_b": "corp:bob"}[e.UserID]
	e.Address, e.ClientID, e.Detail = pick("192.0.2.1", "192.0.2.2"), pick("web", "cli"), pick("from a Laptop", "from a phone", "100%")
	return e
}

func searches() map[string]struct {
	query   store.EventQuery
	matches func(e *store.AuditEvent) bool
} {
	type search = struct {
		query   store.EventQuery
		matches func(e *store.AuditEvent) bool
	}
	names := []string{"token.issued", "access.refused"}
	return map[string]search{
		"all":       {store.EventQuery{}, func(*store.AuditEvent) bool { return true }},
		"text":      {store.EventQuery{Text: "LAPTOP"}, func(e *store.AuditEvent) bool { return e.Detail == "from a Laptop" }},
		"percent":   {store.EventQuery{Text: "%"}, func(e *store.AuditEvent) bool { return e.Detail == "100%" }},
		"address":   {store.EventQuery{Address: "192.0.2.1"}, func(e *store.AuditEvent) bool { return e.Address == "192.0.2.1" }},
		"client":    {store.EventQuery{Client: "web", Cluster: "prod"}, func(e *store.AuditEvent) bool { return e.ClientID == "web" && e.ClusterID == "prod" }},
		"connector": {store.EventQuery{Connector: "corp"}, func(e *store.AuditEvent) bool { return e.ConnectorID == "corp" }},
		"name":      {store.EventQuery{Name: "sign_in."}, func(e *store.AuditEvent) bool { return e.Name == "sign_in.succeeded" }},
		"kind":      {store.EventQuery{Names: names}, func(e *store.AuditEvent) bool { return slices.Contains(names, e.Name) }},
		"kind of a cluster": {store.EventQuery{Names: names, Cluster: "dev"}, func(e *store.AuditEvent) bool {
			return slices.Contains(names, e.Name) && e.ClusterID == "dev"
		}},
		"kind and text": {store.EventQuery{Names: names, Text: "phone"}, func(e *store.AuditEvent) bool {
			return slices.Contains(names, e.Name) && strings.Contains(e.Detail, "phone")
		}},
		"user":      {store.EventQuery{User: "usr_a"}, func(e *store.AuditEvent) bool { return e.UserID == "usr_a" || e.ActorID == "usr_a" }},
		"user name": {store.EventQuery{User: "ANN"}, func(e *store.AuditEvent) bool { return e.UserName == "corp:Ann" }},
		"nothing":   {store.EventQuery{Text: "not there"}, func(*store.AuditEvent) bool { return false }},
	}
}

// TestSearchesFindWhatMatches pages through random events with a small bound on how many are looked through, and
// wants exactly the events that match, in order, and each once.
func TestSearchesFindWhatMatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var batch []audit.Event
		for range 200 {
			batch = append(batch, searched())
		}
		if err := s.WriteEvents(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		all, err := s.FindEvents(t.Context(), store.EventQuery{Limit: 1000})
		if err != nil || len(all) != len(batch) {
			t.Fatalf("%d events, error %v", len(all), err)
		}
		for name, search := range searches() {
			var want, got []string
			for i := range all {
				if search.matches(&all[i]) {
					want = append(want, all[i].ID)
				}
			}
			query := search.query
			query.Limit = 7
			for pages := 0; pages <= len(all); pages++ {
				rows, until, cursor, err := s.SearchEvents(t.Context(), query, 40)
				if err != nil {
					t.Fatal(name, err)
				}
				for i := range rows {
					got = append(got, rows[i].ID)
					if rows[i].Time < until {
						t.Errorf("%s: an event of %v is found, and the search went back to %v", name, rows[i].Time, until)
					}
				}
				if query.After = cursor; cursor == "" && len(rows) == query.Limit {
					query.After = rows[len(rows)-1].Cursor()
				}
				if query.After == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if _, _, _, err := s.SearchEvents(t.Context(), store.EventQuery{Text: "x", After: "x_y"}, 40); err == nil {
			t.Error("a made-up cursor is accepted")
		}
	})
}

func TestEventNamesAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		want, ofCluster := map[string]int64{}, map[string]int64{}
		var batch []audit.Event
		for range 60 {
			e := searched()
			batch = append(batch, e)
			if e.UserID == "usr_b" || e.ActorID == "usr_b" {
				want[string(e.Name)]++
			}
			if e.ClusterID == "prod" {
				ofCluster[string(e.Name)]++
			}
		}
		if err := s.WriteEvents(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		got, known, err := s.CountEventNames(t.Context(), store.EventQuery{User: "usr_b"}, 60)
		if diff := cmp.Diff(want, got); diff != "" || !known || err != nil {
			t.Errorf("known %v, error %v (-want +got):\n%s", known, err, diff)
		}
		if got, known, err := s.CountEventNames(t.Context(), store.EventQuery{Cluster: "prod"}, 1); known || got != nil || err != nil {
			t.Errorf("too many events: %v, known %v, error %v", got, known, err)
		}
		rows, err := s.ClusterNameTotals(t.Context(), "prod", store.CountQuery{})
		totals := map[string]int64{}
		for _, row := range rows {
			totals[row.Name] = row.Events
		}
		if diff := cmp.Diff(ofCluster, totals); diff != "" || err != nil {
			t.Errorf("error %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestARefusedStatementIsNoOutage tells a statement that the database refuses from a database that does not answer.
func TestARefusedStatementIsNoOutage(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), cfg(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.DropRecordings(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = s.RecordingsOfRequests(t.Context(), "usr_a", []string{"req_a"})
			if errs.KindOf(err) != errs.Internal || errors.Is(err, store.ErrOutage) || !strings.Contains(errs.Message(err), "refused a statement") {
				t.Errorf("a missing table: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = s.RecordingsOfRequests(t.Context(), "usr_a", []string{"req_a"})
			if errs.KindOf(err) != errs.Unavailable || !errors.Is(err, store.ErrOutage) || !strings.Contains(errs.Message(err), "does not answer") {
				t.Errorf("a closed database: %v", err)
			}
		})
	}
}
