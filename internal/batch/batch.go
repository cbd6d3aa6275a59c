// Package batch sends things in batches, away from the request that made them. What can't
// be sent is tried again, and counted when it is given up.
package batch

import (
	"context"
	"time"
)

// Queue collects items. Add may be called from anywhere; Run sends them.
type Queue[T any] struct {
	cfg   Config[T]
	items chan T
}

// Config is what a Queue needs.
type Config[T any] struct {
	// Size is how many items wait at most. What comes when it is full is lost.
	QueueSize int
	// Batch is how many go at once at most, and Wait how long the first of them waits.
	BatchSize int
	MaxDelay  time.Duration
	// Tries is how often a batch is sent before it is lost; Pause is before the second, and
	// doubles.
	MaxAttempts int
	RetryDelay  time.Duration
	// Farewell bounds how long what is left may take at the end.
	FlushTimeout time.Duration
	Send         func(ctx context.Context, items []T) error
	// Lost is told how many items are gone, and why: nil when there was no room.
	OnDrop func(items int, why error)
}

// New returns a queue.
func New[T any](cfg Config[T]) *Queue[T] {
	return &Queue[T]{cfg: cfg, items: make(chan T, cfg.QueueSize)}
}

// Add takes an item, or loses it. It never waits.
func (q *Queue[T]) Add(item T) {
	select {
	case q.items <- item:
	default:
		q.cfg.OnDrop(1, nil)
	}
}

// Run sends until ctx ends, and then what is left.
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

// collect waits for a first item and then for more, not for long.
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

// take returns what is there already.
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

// send tries until it worked, often enough, or too long. A batch that is under way when ctx
// ends is tried once more.
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

// pause waits, and reports whether it was not woken by the end of ctx.
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
