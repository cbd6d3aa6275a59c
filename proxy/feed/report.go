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

// Reporter is an audit.Sink that sends events to the Fairlead server, whose audit log then shows them
// beside the sign-in and the token. It does not send events of unauthenticated requests, which could
// fill the database.
type Reporter struct {
	feed   *Feed
	all    bool
	limit  *rate.Limiter
	onDrop func(events int, cause error)
	queue  *batch.Queue[proxyfeed.Event]
}

// ErrRateLimited says that events exceed the rate that is sent to the server.
var ErrRateLimited = errors.New("the events exceed the rate limit of the server's audit log")

var _ audit.Sink = (*Reporter)(nil)

const (
	// reportRate (events per second) and reportBurst limit what is sent. A client that is refused in
	// a loop must not fill the server's database.
	reportRate        = 20
	reportBurst       = 1000
	reportQueueSize   = 2000
	reportMaxDelay    = 2 * time.Second
	reportMaxAttempts = 6
	reportRetryDelay  = time.Second
	// maxDetail is the length at which a detail is cut, in bytes.
	maxDetail = 1000
	// flushTimeout bounds the delivery of the remaining events when the proxy stops.
	flushTimeout = 5 * time.Second
)

// NewReporter returns a sink for notable events, or for all events. It calls onDrop with the number of
// events that are not delivered.
func (f *Feed) NewReporter(all bool, onDrop func(events int, cause error)) *Reporter {
	r := &Reporter{feed: f, all: all, onDrop: onDrop, limit: rate.NewLimiter(reportRate, reportBurst)}
	r.queue = batch.New(batch.Config[proxyfeed.Event]{
		QueueSize: reportQueueSize, BatchSize: proxyfeed.MaxEventsPerReport, MaxDelay: reportMaxDelay, MaxAttempts: reportMaxAttempts, RetryDelay: reportRetryDelay, FlushTimeout: flushTimeout, Send: r.send, OnDrop: onDrop,
	})
	return r
}

// Run sends events until ctx ends, and then the remaining ones.
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

// isNotable reports whether an event is more than an ordinary request.
func isNotable(e audit.Event) bool {
	return e.Name != audit.ProxyRequest || e.Reason == string(forward.Upgrade)
}

// UploadRecording sends a part of a recording to the server.
func (f *Feed) UploadRecording(ctx context.Context, part proxyfeed.RecordingPart) error {
	return f.call(ctx, http.MethodPost, proxyfeed.RecordingPath, part, &struct{}{})
}

func (r *Reporter) send(ctx context.Context, events []proxyfeed.Event) error {
	return r.feed.call(ctx, http.MethodPost, proxyfeed.ReportPath, proxyfeed.Report{Events: events}, &struct{}{})
}
