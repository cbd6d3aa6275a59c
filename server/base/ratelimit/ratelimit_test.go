package ratelimit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// allowed tries until it is refused, at most n times, and returns how often it
// was let through.
func allowed(t *testing.T, l *ratelimit.Limiter, n int, counts func(i int) []ratelimit.Counter) int {
	t.Helper()
	through := 0
	for i := range n {
		verdict, err := l.Attempt(t.Context(), counts(i))
		if err != nil {
			t.Fatal(err)
		}
		wait := verdict.Wait
		if wait > ratelimit.DefaultWindow || wait < 0 {
			t.Fatalf("wait %v", wait)
		}
		if wait == 0 {
			through++
		}
	}
	return through
}

func TestGuessingIsBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		l := &ratelimit.Limiter{Store: s, Now: c.now, Window: ratelimit.DefaultWindow}
		for name, tc := range map[string]struct {
			counts func(i int) []ratelimit.Counter
			want   int
		}{
			"one name, one network": {func(int) []ratelimit.Counter { return ratelimit.Password("a", "jane", "192.0.2.1") }, 10},
			"one name, many networks": {func(i int) []ratelimit.Counter {
				return ratelimit.Password("b", "Jane", fmt.Sprintf("198.51.%d.%d", i/200, i%200))
			}, 100},
			"many names, one network": {func(i int) []ratelimit.Counter {
				return ratelimit.Password("c", fmt.Sprint("u", i), "203.0.113.7")
			}, 300},
			"one IPv6 party": {func(i int) []ratelimit.Counter {
				return ratelimit.Password("d", "jane", fmt.Sprintf("2001:db8::%x", i))
			}, 10},
			"no address at all": {func(int) []ratelimit.Counter { return ratelimit.Password("e", "jane", "") }, 10},
			"case does not matter": {func(i int) []ratelimit.Counter {
				return ratelimit.Password("f", []string{"jane", "JANE"}[i%2], "192.0.2.9")
			}, 10},
		} {
			if got := allowed(t, l, 400, tc.counts); got != tc.want {
				t.Errorf("%s: %d tries were let through, want %d", name, got, tc.want)
			}
			c.at = c.at.Add(ratelimit.DefaultWindow)
			if got := allowed(t, l, 1, tc.counts); got != 1 {
				t.Errorf("%s: it does not open by itself", name)
			}
		}
	})
}

func TestOnlyWrongTriesCount(t *testing.T) {
	t.Parallel()
	l := &ratelimit.Limiter{Store: storetest.SQLite(t), Now: time.Now, Window: ratelimit.DefaultWindow}
	a := ratelimit.Password("a", "jane", "192.0.2.1")
	for range 50 {
		if verdict, err := l.Attempt(t.Context(), a); verdict.Wait != 0 || err != nil {
			t.Fatalf("verdict %v, error %v", verdict, err)
		}
		if err := l.Undo(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTriesAtOnceAllCount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := &ratelimit.Limiter{Store: s, Now: time.Now, Window: ratelimit.DefaultWindow}
		var through atomic.Int64
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				verdict, err := l.Attempt(t.Context(), ratelimit.Password("a", "jane", "192.0.2.1"))
				if err != nil {
					t.Error(err)
				}
				if verdict.Wait == 0 {
					through.Add(1)
				}
			})
		}
		wg.Wait()
		if through.Load() != 10 {
			t.Errorf("%d of 40 at once were let through, want 10", through.Load())
		}
	})
}

// TestAFloodCostsNoDatabase expects that repeated refusals need no query, and that the verdict says so.
func TestAFloodCostsNoDatabase(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	l := &ratelimit.Limiter{Store: s, Now: c.now, Window: ratelimit.DefaultWindow}
	counts := ratelimit.Password("a", "jane", "192.0.2.1")
	if got := allowed(t, l, 11, func(int) []ratelimit.Counter { return counts }); got != 10 {
		t.Fatalf("%d were let through", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		verdict, err := l.Attempt(t.Context(), counts)
		if err != nil || verdict.Wait != ratelimit.DefaultWindow || !verdict.Repeated {
			t.Fatalf("verdict %+v, error %v", verdict, err)
		}
	}
	c.at = c.at.Add(ratelimit.DefaultWindow)
	if _, err := l.Attempt(t.Context(), counts); err == nil {
		t.Error("after the window it must ask the database again")
	}
}
