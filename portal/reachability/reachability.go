// Package reach remembers which API servers answer. Nobody waits for a look: pages show what
// was seen last, and that somebody looks at a page is what makes it look again.
package reachability

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

const (
	// every is how old a look may be, patience how long one takes at most, and first how long
	// a page waits for the very first.
	every    = time.Minute
	patience = 5 * time.Second
	first    = 150 * time.Millisecond
	// atOnce bounds looks at the same time.
	atOnce = 16
)

// Seen is what is known of an API server. Its zero value is nothing.
type Seen struct {
	// Answers says that it answered when it was last looked at; Last is when it last did.
	// Whoever has never been seen to answer may just be out of this server's reach.
	Answers bool
	Last    time.Time
}

// Watcher looks at API servers.
type Watcher struct {
	// Look asks one whether it is there, as anybody may ask.
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
	done    chan struct{} // closed when a look is over
}

// Last returns what was last seen of each cluster, by its id, and looks again at those that it
// has not looked at for a minute. Only what has never been looked at is waited for, shortly.
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
