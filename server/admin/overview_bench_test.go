package admin_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// manyEvents is the size of the largest audit log that the overview must handle.
const manyEvents = 1_000_000

// BenchmarkOverviewOfManyEvents runs the operations of the overview with a large audit log.
func BenchmarkOverviewOfManyEvents(b *testing.B) {
	w := setup(b, storetest.SQLite(b))
	names := []audit.Name{audit.TokenIssued, audit.TokenIssued, audit.TokenIssued, audit.SignInSucceeded, audit.ProxySessionEnded, audit.AccessRefused}
	const batch = 10_000
	for range manyEvents / batch {
		events := make([]audit.Event, batch)
		for i := range events {
			events[i] = audit.Event{
				Name: names[rand.N(len(names))], Time: w.now().Add(-rand.N(40 * 24 * time.Hour)), ConnectorID: "corp", Reason: "refresh_token",
				UserID: fmt.Sprint("usr_", rand.N(5000)), ClusterID: fmt.Sprint("c", rand.N(200)),
			}
		}
		if err := w.store.WriteEvents(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	for name, month := range map[string]bool{"24 hours": false, "30 days": true} {
		for _, compacted := range []bool{false, true} {
			for more := compacted; more; {
				var err error
				if more, err = w.store.Compact(b.Context(), w.now()); err != nil {
					b.Fatal(err)
				}
			}
			b.Run(fmt.Sprintf("%s, compacted %v", name, compacted), func(b *testing.B) {
				for b.Loop() {
					if _, err := w.Overview(b.Context(), shell()); err != nil {
						b.Fatal(err)
					}
					if _, err := w.Activity(b.Context(), shell(), month); err != nil {
						b.Fatal(err)
					}
					if _, err := w.ClusterHealth(b.Context(), shell()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
