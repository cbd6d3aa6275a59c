package reachability_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-auth/fairlead/portal/reachability"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

func TestLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var looks atomic.Int32
		w := &reachability.Watcher{Now: time.Now, Look: func(context.Context, *store.Cluster) bool { looks.Add(1); return up.Load() }}
		one := []*store.Cluster{{ID: "a", Server: "https://a.test"}}
		up.Store(true)
		began := time.Now()
		if got := w.Last(t.Context(), one)["a"]; !got.Answers || !got.Last.Equal(began) {
			t.Errorf("the first look: %+v", got)
		}
		up.Store(false)
		if got := w.Last(t.Context(), one)["a"]; !got.Answers || looks.Load() != 1 {
			t.Errorf("%+v after %d looks: it was looked at just now", got, looks.Load())
		}
		time.Sleep(2 * time.Minute)
		if got := w.Last(t.Context(), one)["a"]; !got.Answers {
			t.Errorf("a page waited for a second look: %+v", got)
		}
		synctest.Wait()
		if got := w.Last(t.Context(), one)["a"]; got.Answers || !got.Last.Equal(began) || looks.Load() != 2 {
			t.Errorf("%+v after %d looks", got, looks.Load())
		}
		// At another address it is another one.
		if got := w.Last(t.Context(), []*store.Cluster{{ID: "a", Server: "https://b.test"}})["a"]; got.Answers || !got.Last.IsZero() {
			t.Errorf("moved: %+v", got)
		}
	})
}

// TestNobodyWaits has API servers that do not answer at all.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		w := &reachability.Watcher{Now: time.Now, Look: func(ctx context.Context, _ *store.Cluster) bool {
			most.Store(max(most.Load(), now.Add(1)))
			<-ctx.Done()
			now.Add(-1)
			return false
		}}
		var clusters []*store.Cluster
		for i := range 100 {
			clusters = append(clusters, &store.Cluster{ID: string(rune('A' + i))})
		}
		began := time.Now()
		if seen := w.Last(t.Context(), clusters); len(seen) != 100 || time.Since(began) > time.Second {
			t.Errorf("%d seen after %v", len(seen), time.Since(began))
		}
		time.Sleep(time.Hour)
		if most.Load() > 16 {
			t.Errorf("%d looks at once", most.Load())
		}
	})
}
