package latency_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 34, 0, 0, time.UTC) }

func TestMeasurementsReachTheDatabase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		// Two replicas, each with several requests at once.
		var wg sync.WaitGroup
		var took []time.Duration
		var mu sync.Mutex
		for range 2 {
			r := latency.New(s, slog.New(slog.DiscardHandler), noon)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			for range 4 {
				wg.Go(func() {
					for range 100 {
						d := rand.N(12 * time.Second)
						r.Observe(store.SubjectToken, d, false)
						mu.Lock()
						took = append(took, d)
						mu.Unlock()
					}
					r.Observe(store.SubjectToken, time.Minute, true)
				})
			}
			wg.Wait()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		at := store.At(noon().Truncate(time.Hour))
		list, err := s.Latencies(t.Context(), at, at+1)
		if err != nil {
			t.Fatal(err)
		}
		if failed, all := latency.Failures(list); failed != 8 || all != 808 {
			t.Errorf("%d of %d failed, want 8 of 808", failed, all)
		}
		slices.Sort(took)
		for _, share := range []float64{0.5, 0.75} {
			exact, got := took[int(share*float64(len(took)))], latency.Quantile(list, share)
			if diff := (got - exact).Abs(); diff > exact/4 {
				t.Errorf("%v of the answers took up to %v, measured %v", share, exact, got)
			}
		}
	})
}

// refusing is a store that does not answer for a while.
type refusing struct {
	left int
	got  []store.Latency
}

func (r *refusing) AddLatencies(_ context.Context, list []store.Latency) error {
	if r.left > 0 {
		r.left--
		return errors.New("no answer")
	}
	r.got = append(r.got, list...)
	return nil
}

func TestAnOutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := &refusing{left: 1}
	r := latency.New(s, slog.New(slog.DiscardHandler), noon)
	r.Observe("a", time.Second, false)
	r.Flush(t.Context())
	r.Observe("a", time.Second, false)
	r.Flush(t.Context())
	r.Flush(t.Context())
	if len(s.got) != 1 || s.got[0].Answers != 2 || s.got[0].Took != 1_000_000 {
		t.Errorf("got %+v", s.got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	bucket := func(took time.Duration, answers int64) store.Latency {
		return store.Latency{Took: took.Microseconds(), Answers: answers}
	}
	for name, test := range map[string]struct {
		list  []store.Latency
		share float64
		want  time.Duration
	}{
		"none":             {nil, 0.95, 0},
		"only failures":    {[]store.Latency{{Failed: true, Took: 1000, Answers: 9}}, 0.95, 0},
		"one bucket":       {[]store.Latency{bucket(100*time.Millisecond, 10)}, 0.5, 85 * time.Millisecond},
		"first bucket":     {[]store.Latency{bucket(time.Millisecond, 10)}, 0.5, 500 * time.Microsecond},
		"second bucket":    {[]store.Latency{bucket(time.Millisecond, 90), bucket(10*time.Second, 10)}, 0.95, 8500 * time.Millisecond},
		"without a bound":  {[]store.Latency{bucket(0, 10)}, 0.5, 10 * time.Second},
		"edge of a bucket": {[]store.Latency{bucket(time.Millisecond, 50), bucket(time.Second, 50)}, 0.5, time.Millisecond},
	} {
		if got := latency.Quantile(test.list, test.share); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
