package proxyapi

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// pollInterval is how often the position is read while requests wait: one small query for all of them. It bounds how
// late a proxy learns of a change on another replica.
const pollInterval = 250 * time.Millisecond

// watcher lets many requests wait for one change in the database.
type watcher struct {
	mark func(ctx context.Context) (store.FeedPosition, error)

	mu      sync.Mutex
	waiting int
	looking bool
	moved   chan struct{} // closed when last changes
	last    store.FeedPosition
	known   bool
}

func newWatcher(mark func(ctx context.Context) (store.FeedPosition, error)) *watcher {
	return &watcher{mark: mark, moved: make(chan struct{})}
}

// wait returns when the position differs from seen, or when ctx ends.
func (w *watcher) wait(ctx context.Context, seen store.FeedPosition) {
	w.mu.Lock()
	if w.waiting++; !w.looking {
		w.looking, w.known = true, false
		go w.look() //nolint:contextcheck // one goroutine reads for all waiting requests, and ends with the last of them
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting--
	}()
	for ctx.Err() == nil {
		w.mu.Lock()
		moved, other := w.moved, w.known && w.last != seen
		w.mu.Unlock()
		if other {
			return
		}
		select {
		case <-ctx.Done():
		case <-moved:
		}
	}
}

// look reads the position while requests wait.
func (w *watcher) look() {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for w.lookOnce() {
		<-ticker.C
	}
}

const lookTimeout = 5 * time.Second

func (w *watcher) lookOnce() (on bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	mark, err := w.mark(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && (!w.known || mark != w.last) {
		w.last, w.known = mark, true
		close(w.moved)
		w.moved = make(chan struct{})
	}
	w.looking = w.waiting > 0
	return w.looking
}
