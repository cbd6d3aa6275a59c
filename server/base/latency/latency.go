// Package latency measures how long answers take and keeps the measurements in the
// database as histograms by the hour, for all replicas together.
//
// It is for the admin pages. Prometheus metrics, which have no history of their own, are in
// cmd/fairlead.
package latency

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// flushEvery is how often a replica adds what it measured to the database.
const flushEvery = 10 * time.Second

// flushAtEnd bounds the time of the last flush.
const flushAtEnd = 2 * time.Second

// Bounds are the upper bounds of the buckets of a histogram. Longer answers are in one more
// bucket, which has none.
func Bounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		1 * ms, 2 * ms, 3 * ms, 5 * ms, 7 * ms, 10 * ms, 15 * ms, 20 * ms, 30 * ms, 50 * ms, 70 * ms, 100 * ms, 150 * ms, 200 * ms, 300 * ms, 500 * ms, 700 * ms,
		time.Second, 1500 * ms, 2 * time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second, 10 * time.Second,
	}
}

// Store keeps histograms. *store.Store is one.
type Store interface {
	AddLatencies(ctx context.Context, list []store.Latency) error
}

// Recorder collects measurements in memory until Run adds them to the store. A process that is
// killed loses those of the last ten seconds.
type Recorder struct {
	store  Store
	logger *slog.Logger
	now    func() time.Time
	bounds []time.Duration

	mu     sync.Mutex
	counts map[bucket]int64
}

// bucket is a Latency without its count.
type bucket struct {
	subject string
	hour    store.Instant
	failed  bool
	took    int64
}

// New returns a recorder. Call Run.
func New(s Store, logger *slog.Logger, now func() time.Time) *Recorder {
	return &Recorder{store: s, logger: logger, now: now, bounds: Bounds(), counts: map[bucket]int64{}}
}

// Observe adds one answer of a subject. failed says that the subject, not its caller, was the
// reason of an error. It never waits for the database.
func (r *Recorder) Observe(subject string, took time.Duration, failed bool) {
	b := bucket{subject: subject, hour: store.At(r.now().Truncate(time.Hour)), failed: failed}
	if i, _ := slices.BinarySearch(r.bounds, took); i < len(r.bounds) {
		b.took = r.bounds[i].Microseconds()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[b]++
}

// Run adds the measurements to the store every few seconds, until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushAtEnd)
			defer cancel()
			r.Flush(last)
			return nil
		case <-ticker.C:
			r.Flush(ctx)
		}
	}
}

// Flush adds the measurements to the store. Those that the store does not take stay for the
// next time.
func (r *Recorder) Flush(ctx context.Context) {
	r.mu.Lock()
	counts := r.counts
	r.counts = map[bucket]int64{}
	r.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	list := make([]store.Latency, 0, len(counts))
	for b, n := range counts {
		list = append(list, store.Latency{Subject: b.subject, Hour: b.hour, Failed: b.failed, Took: b.took, Answers: n})
	}
	if err := r.store.AddLatencies(ctx, list); err != nil {
		r.logger.WarnContext(ctx, "latencies not stored, will try again", "error", err)
		r.mu.Lock()
		defer r.mu.Unlock()
		for b, n := range counts {
			r.counts[b] += n
		}
	}
}

// Quantile returns the time that a share of the answers did not exceed, between the bounds of
// their bucket by proportion. A share of 0.95 returns the 95th percentile. An answer in the
// bucket without a bound counts as the highest bound. It returns 0 without answers. Failed
// answers are left out.
func Quantile(list []store.Latency, share float64) time.Duration {
	bounds := Bounds()
	counts, total := make([]float64, len(bounds)+1), 0.0
	for _, l := range list {
		if l.Failed {
			continue
		}
		i := len(bounds)
		if l.Took > 0 {
			i, _ = slices.BinarySearch(bounds, time.Duration(l.Took)*time.Microsecond)
		}
		counts[i] += float64(l.Answers)
		total += float64(l.Answers)
	}
	if total == 0 {
		return 0
	}
	rank, lower := share*total, time.Duration(0)
	for i, bound := range bounds {
		if rank <= counts[i] && counts[i] > 0 {
			return lower + time.Duration(float64(bound-lower)*rank/counts[i])
		}
		rank -= counts[i]
		lower = bound
	}
	return lower
}

// Failures returns how many of the answers failed, and how many there were.
func Failures(list []store.Latency) (failed, all int64) {
	for _, l := range list {
		if l.Failed {
			failed += l.Answers
		}
		all += l.Answers
	}
	return failed, all
}
