package batch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/batch"
)

// sink takes batches, and fails as often as it is told.
type sink struct {
	mu    sync.Mutex
	got   [][]int
	fails int
	lost  int
	why   error
}

func (s *sink) send(_ context.Context, items []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != 0 {
		s.fails--
		return errors.New("no")
	}
	s.got = append(s.got, slices.Clone(items))
	return nil
}

func (s *sink) giveUp(n int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += n
	s.why = why
}

func (s *sink) config() batch.Config[int] {
	return batch.Config[int]{QueueSize: 10, BatchSize: 4, MaxDelay: time.Hour, MaxAttempts: 3, RetryDelay: time.Millisecond, FlushTimeout: time.Second, Send: s.send, OnDrop: s.giveUp}
}

// run adds items, runs the queue until there was a batch or something lost, and ends it.
func (s *sink) run(t *testing.T, cfg batch.Config[int], items int) {
	t.Helper()
	q := batch.New(cfg)
	for i := range items {
		q.Add(i)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	for range 1000 {
		s.mu.Lock()
		ready := len(s.got) > 0 || s.why != nil
		s.mu.Unlock()
		if ready {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBatchesKeepOrderAndNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := &sink{}
	s.run(t, s.config(), 9)
	if got := slices.Concat(s.got...); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}) || len(s.got[0]) != 4 || s.lost != 0 {
		t.Errorf("%v, lost %d", s.got, s.lost)
	}
}

func TestWhatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := &sink{fails: 2}
	s.run(t, s.config(), 4)
	if len(s.got) != 1 || s.lost != 0 {
		t.Errorf("%v, lost %d", s.got, s.lost)
	}
}

func TestWhatIsLostIsCounted(t *testing.T) {
	t.Parallel()
	s := &sink{fails: -1}
	s.run(t, s.config(), 4)
	if s.lost != 4 || s.why == nil {
		t.Errorf("lost %d because of %v, want 4", s.lost, s.why)
	}
	full := &sink{}
	full.run(t, full.config(), 13)
	if full.lost != 3 || full.why != nil {
		t.Errorf("lost %d because of %v, want 3 for want of room", full.lost, full.why)
	}
}

func TestASlowTrickleGoesOut(t *testing.T) {
	t.Parallel()
	s := &sink{}
	cfg := s.config()
	cfg.MaxDelay = time.Millisecond
	s.run(t, cfg, 1)
	if len(s.got) != 1 {
		t.Errorf("%v", s.got)
	}
}
