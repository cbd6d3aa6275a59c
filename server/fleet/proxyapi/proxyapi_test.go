package proxyapi

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// TestManyWaitersCostOneLook lets many wait, move the mark, and come back.
func TestManyWaitersCostOneLook(t *testing.T) {
	t.Parallel()
	var looks, seq atomic.Int64
	w := newWatcher(func(context.Context) (store.FeedPosition, error) {
		looks.Add(1)
		return store.FeedPosition{Seq: seq.Load()}, nil
	})
	for round := range int64(3) {
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
				defer cancel()
				w.wait(ctx, store.FeedPosition{Seq: round})
				if ctx.Err() != nil {
					t.Error("nobody woke it")
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		seq.Store(round + 1)
		wg.Wait()
	}
	if n := looks.Load(); n > 30 {
		t.Errorf("%d looks at the database", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if w.wait(ctx, store.FeedPosition{Seq: 3}); ctx.Err() == nil {
		t.Error("it was woken without news")
	}
}

// TestAllowance has one proxy report without end; another is not held back by it.
func TestAllowance(t *testing.T) {
	t.Parallel()
	var a allowance
	now := time.Now()
	taken := 0
	for range 100 {
		if a.allows("prx_1", 200, now) {
			taken += 200
		}
	}
	if taken != reportBurst {
		t.Errorf("%d events taken", taken)
	}
	if !a.allows("prx_2", 200, now) || !a.allows("prx_1", 200, now.Add(10*time.Second)) {
		t.Error("others, or later ones, are refused")
	}
}
