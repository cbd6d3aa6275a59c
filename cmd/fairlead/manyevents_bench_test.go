package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
)

// manyEvents is the size of the audit log that the overview and the audit log have to bear.
const manyEvents = 1_000_000

// fillEvents writes a large audit log of forty days: 5,000 users and 200 clusters.
func (s *station) fillEvents() {
	s.t.Helper()
	names := []audit.Name{audit.TokenIssued, audit.TokenIssued, audit.TokenIssued, audit.SignInSucceeded, audit.ProxySessionEnded, audit.AccessRefused}
	const span = 40 * 24 * time.Hour
	began := time.Now().Add(-span)
	const batch = 10_000
	for written := 0; written < manyEvents; written += batch {
		events := make([]audit.Event, batch)
		for i := range events {
			user := rand.N(5000)
			events[i] = audit.Event{
				Name: names[rand.N(len(names))], Time: began.Add(time.Duration(written+i) * span / manyEvents), ConnectorID: "corp", Reason: "refresh_token",
				UserID: fmt.Sprint("usr_", user), UserName: fmt.Sprint("corp:user-", user), ClusterID: fmt.Sprint("c", rand.N(200)), Detail: "kubectl on laptop-" + fmt.Sprint(user),
			}
		}
		if err := s.store.WriteEvents(s.t.Context(), events); err != nil {
			s.t.Fatal(err)
		}
	}
}

// BenchmarkManyEvents asks for the overview and the audit log of a large installation, before and after the
// counters are compacted, on both databases (test/with-postgres.sh starts PostgreSQL).
func BenchmarkManyEvents(b *testing.B) {
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		b.Run(name, func(b *testing.B) {
			settings, _, _ := databaseSettings(b, postgres)
			benchmarkManyEvents(b, newStationOf(b, newOperatorOn(b, settings)))
		})
	}
}

func benchmarkManyEvents(b *testing.B, s *station) {
	b.Helper()
	s.fillEvents()
	_, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	today := time.Now().UTC().Format(time.DateOnly)
	paths := []string{
		"", "?days=30", "/audit", "/audit?kind=refused", "/audit?kind=tokens", "/audit?cluster=c7", "/audit?cluster=c7&kind=refused", "/audit?connector=corp", "/audit?user=usr_4711",
		"/audit?from=" + today, "/audit?user=user-4711", "/audit?user=user-no", "/audit?text=laptop-4711", "/audit?text=not-there", "/audit?text=not-there&kind=tokens", "/audit?name=access.", "/audit?client=not-there",
		"/audit?address=192.0.2.7", "/search?q=laptop-4711",
	}
	for _, compacted := range []bool{false, true} {
		for more := compacted; more; {
			var err error
			if more, err = s.store.Compact(b.Context(), time.Now()); err != nil {
				b.Fatal(err)
			}
		}
		for _, path := range paths {
			b.Run(fmt.Sprintf("%s, compacted %v", path, compacted), func(b *testing.B) {
				for b.Loop() {
					if w := s.ask(http.MethodGet, "/admin"+path, cookie, "", "same-origin"); w.Code != http.StatusOK {
						b.Fatalf("%d for %s", w.Code, path)
					}
				}
			})
		}
	}
}
