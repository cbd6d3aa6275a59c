package feed

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/batch"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/proxy/forward"
)

// Reporter is a sink that tells the server what happens, so that it can be found there
// beside what happened before: the sign-in, the token. What somebody does who has proved
// nothing is not told: anybody could fill a database with it.
type Reporter struct {
	feed   *Feed
	all    bool
	limit  *rate.Limiter
	onDrop func(events int, why error)
	queue  *batch.Queue[proxyfeed.Event]
}

// ErrTooOften says that more happens than the server is told of.
var ErrRateLimited = errors.New("more than the server is told of")

var _ audit.Sink = (*Reporter)(nil)

const (
	// reportRate and reportBurst bound what is told, in events a second: a person who is
	// refused in a loop must not fill the server's database.
	reportRate        = 20
	reportBurst       = 1000
	reportQueueSize   = 2000
	reportMaxDelay    = 2 * time.Second
	reportMaxAttempts = 6
	reportRetryDelay  = time.Second
	// maxDetail is where words are cut, in bytes: a path can be long.
	maxDetail = 1000
	// farewell is how long what is left may take at the end.
	flushTimeout = 5 * time.Second
)

// Report returns a sink for what is worth knowing, or for all. Lost is told of events that
// could not be told.
func (f *Feed) NewReporter(all bool, lost func(events int, why error)) *Reporter {
	r := &Reporter{feed: f, all: all, onDrop: lost, limit: rate.NewLimiter(reportRate, reportBurst)}
	r.queue = batch.New(batch.Config[proxyfeed.Event]{
		QueueSize: reportQueueSize, BatchSize: proxyfeed.MaxEventsPerReport, MaxDelay: reportMaxDelay, MaxAttempts: reportMaxAttempts, RetryDelay: reportRetryDelay, FlushTimeout: flushTimeout, Send: r.send, OnDrop: lost,
	})
	return r
}

// Run tells until ctx ends, and then what is left.
func (r *Reporter) Run(ctx context.Context) error { return r.queue.Run(ctx) }

// WriteEvent implements audit.Sink.
func (r *Reporter) WriteEvent(_ context.Context, e audit.Event) error {
	if e.UserName == "" || (!r.all && !isNotable(e)) {
		return nil
	}
	if !r.limit.AllowN(r.feed.cfg.Now(), 1) {
		r.onDrop(1, ErrRateLimited)
		return nil
	}
	r.queue.Add(proxyfeed.Event{
		Name: string(e.Name), Time: e.Time, RequestID: e.RequestID, UserID: e.UserID, UserName: e.UserName, SignInID: e.SignInID, DeviceID: e.DeviceID,
		TokenID: e.TokenID, Address: e.Address, Reason: e.Reason, Detail: e.Detail[:min(len(e.Detail), maxDetail)],
	})
	return nil
}

// isNotable reports whether it is more than an ordinary request.
func isNotable(e audit.Event) bool {
	return e.Name != audit.ProxyRequest || e.Reason == string(forward.Upgrade)
}

// HandIn gives the server a part of a recording.
func (f *Feed) UploadRecording(ctx context.Context, part proxyfeed.RecordingPart) error {
	return f.call(ctx, http.MethodPost, proxyfeed.RecordingPath, part, &struct{}{})
}

func (r *Reporter) send(ctx context.Context, events []proxyfeed.Event) error {
	return r.feed.call(ctx, http.MethodPost, proxyfeed.ReportPath, proxyfeed.Report{Events: events}, &struct{}{})
}
