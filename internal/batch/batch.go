// Package batch sends items in batches in the background. It retries a failed batch, and reports the
// batches that it gives up.
package batch

import (
	"context"
	"time"
)

// Queue collects items. Add is safe for concurrent use; Run sends the items.
type Queue[T any] struct {
	cfg   Config[T]
	items chan T
}

// Config is the configuration of a Queue.
type Config[T any] struct {
	// QueueSize is the maximum number of waiting items. A full queue drops new items.
	QueueSize int
	// BatchSize is the maximum number of items in a batch, MaxDelay how long an item waits for others.
	BatchSize int
	MaxDelay  time.Duration
	// MaxAttempts is how often a batch is sent before it is dropped. RetryDelay is the time before
	// the second attempt, and doubles with each further one.
	MaxAttempts int
	RetryDelay  time.Duration
	// FlushTimeout bounds the delivery of the remaining items when Run ends.
	FlushTimeout time.Duration
	Send         func(ctx context.Context, items []T) error
	// OnDrop is called with the number of dropped items and the cause: nil if the queue is full.
	OnDrop func(items int, why error)
}

// New returns an empty queue.
func New[T any](cfg Config[T]) *Queue[T] {
	return &Queue[T]{cfg: cfg, items: make(chan T, cfg.QueueSize)}
}

// Add adds an item, or drops it if the queue is full. It never blocks.
func (q *Queue[T]) Add(item T) {
	select {
	case q.items <- item:
	default:
		q.cfg.OnDrop(1, nil)
	}
}

// Run sends items until ctx ends, and then the remaining ones.
func (q *Queue[T]) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if items := q.collect(ctx); len(items) > 0 {
			q.send(ctx, items)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.FlushTimeout)
	defer cancel()
	for len(q.items) > 0 {
		q.send(last, q.drain())
	}
	return nil
}

// collect waits for a first item, and then up to MaxDelay for more.
func (q *Queue[T]) collect(ctx context.Context) []T {
	var items []T
	select {
	case <-ctx.Done():
		return nil
	case item := <-q.items:
		items = append(items, item)
	}
	timer := time.NewTimer(q.cfg.MaxDelay)
	defer timer.Stop()
	for len(items) < q.cfg.BatchSize {
		select {
		case item := <-q.items:
			items = append(items, item)
		case <-timer.C:
			return items
		case <-ctx.Done():
			return items
		}
	}
	return items
}

// drain returns the items that are already in the queue.
func (q *Queue[T]) drain() []T {
	var items []T
	for len(items) < q.cfg.BatchSize {
		select {
		case item := <-q.items:
			items = append(items, item)
		default:
			return items
		}
	}
	return items
}

// send sends a batch with retries. When ctx ends during the retries, it makes one last attempt.
func (q *Queue[T]) send(ctx context.Context, items []T) {
	wait := q.cfg.RetryDelay
	var err error
	for try := range q.cfg.MaxAttempts {
		if try > 0 && !sleep(ctx, wait) {
			break
		}
		if err = q.cfg.Send(ctx, items); err == nil {
			return
		}
		if try > 0 {
			wait *= 2
		}
	}
	if ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.FlushTimeout)
		defer cancel()
		if err = q.cfg.Send(last, items); err == nil {
			return
		}
	}
	q.cfg.OnDrop(len(items), err)
}

// sleep waits, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
