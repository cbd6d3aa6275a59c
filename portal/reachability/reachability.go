// Package reachability remembers which API servers answer. Pages show the last result without a wait. A page view
// starts a new check if the last one is a minute old.
package reachability

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

const (
	// every is the least time between two checks of a server. patience is the timeout of a check, and first is how
	// long a page waits for the first check.
	every    = time.Minute
	patience = 5 * time.Second
	first    = 150 * time.Millisecond
	// atOnce limits concurrent checks.
	atOnce = 16
)

// Seen is the result of the last check. The zero value means that there was no check.
type Seen struct {
	// Answers is set if the server answered the last check. Last is its last answer. A server without any answer may be
	// up, in a network that Fairlead cannot reach.
	Answers bool
	Last    time.Time
}

// Watcher checks API servers.
type Watcher struct {
	// Look reports whether an API server answers an anonymous request.
	Look func(ctx context.Context, cluster *store.Cluster) bool
	Now  func() time.Time

	mu     sync.Mutex
	seen   map[string]*entry
	places chan struct{}
}

type entry struct {
	address string
	looked  time.Time
	seen    Seen
	done    chan struct{} // closed when a check is over
}

// Last returns the last result for each cluster, by id, and starts checks for clusters whose result is a minute old.
// It waits shortly for the first check of a cluster.
func (w *Watcher) Last(ctx context.Context, clusters []*store.Cluster) map[string]Seen {
	var fresh []chan struct{}
	for _, cluster := range clusters {
		if done := w.refresh(ctx, cluster); done != nil {
			fresh = append(fresh, done)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, first)
	defer cancel()
	for _, done := range fresh {
		select {
		case <-done:
		case <-waiting.Done():
			return w.all(clusters)
		}
	}
	return w.all(clusters)
}

func (w *Watcher) all(clusters []*store.Cluster) map[string]Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[string]Seen, len(clusters))
	for _, cluster := range clusters {
		if e := w.seen[cluster.ID]; e != nil {
			all[cluster.ID] = e.seen
		}
	}
	return all
}

// refresh begins a look where one is due. It returns what tells the end of the first one.
func (w *Watcher) refresh(ctx context.Context, cluster *store.Cluster) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen, w.places = map[string]*entry{}, make(chan struct{}, atOnce)
	}
	e := w.seen[cluster.ID]
	isNew := e == nil || e.address != cluster.Server
	if isNew {
		e = &entry{address: cluster.Server}
		w.seen[cluster.ID] = e
	}
	if !isNew && w.Now().Sub(e.looked) < every {
		return nil
	}
	e.looked, e.done = w.Now(), make(chan struct{})
	one := *cluster
	go w.look(context.WithoutCancel(ctx), &one, e, e.done)
	if isNew {
		return e.done
	}
	return nil
}

func (w *Watcher) look(ctx context.Context, cluster *store.Cluster, e *entry, done chan struct{}) {
	defer close(done)
	w.places <- struct{}{}
	defer func() { <-w.places }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := w.Look(ctx, cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	e.seen.Answers = answers
	if answers {
		e.seen.Last = w.Now()
	}
}
