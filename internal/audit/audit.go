// Package audit records decisions, grants and refusals as audit events. The function that decides also records the
// event. The sinks store events.
package audit

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/internal/logging"
)

// Event is an audit event. Empty fields are omitted. No field may contain a token, a code, a cookie or a password.
type Event struct {
	Name Name
	// Time is set by Record, in UTC.
	Time time.Time
	// RequestID is also on log lines of the request. Record takes it from the context.
	RequestID string
	// UserID and UserName name the user that the event is about; both are empty before a user is known.
	UserID, UserName string
	// ActorID and ActorName name the user who acted if that is another user than UserID, such as the admin who
	// disabled an account.
	ActorID, ActorName string
	// SignInID, DeviceID, TokenID (jti), ClientID and ClusterID relate events to each other.
	SignInID, DeviceID, TokenID string
	ClientID, ClusterID         string
	// ConnectorID is the connector of the sign-in.
	ConnectorID string
	// Address is the client's network address without a port.
	Address string
	// Reason is a fixed word for the cause, mainly of refusals.
	Reason string
	// Detail is free text without secrets.
	Detail string
}

// Sink stores or forwards events.
type Sink interface {
	WriteEvent(ctx context.Context, e Event) error
}

// PersistentSink is a sink that stores events, such as a database.
type PersistentSink interface {
	Sink
	// Persistent distinguishes it from a stream.
	Persistent()
}

// Log hands each event to all of its sinks.
type Log struct {
	now    func() time.Time
	logger *slog.Logger
	sinks  []Sink
}

// NewLog returns a log. Failures of a sink go to logger, because the decision
// they record has already been made.
func NewLog(now func() time.Time, logger *slog.Logger, sinks ...Sink) *Log {
	return &Log{now: now, logger: logger, sinks: sinks}
}

// sinkTimeout is the deadline for the sinks of one event.
const sinkTimeout = 5 * time.Second

// Complete sets the time and the request id.
func (l *Log) Complete(ctx context.Context, e Event) Event {
	e.Time = l.now().UTC()
	if e.RequestID == "" {
		e.RequestID = logging.RequestID(ctx)
	}
	return e
}

// Record writes e to every sink. It sets the time and the request id.
func (l *Log) Record(ctx context.Context, e Event) {
	l.RecordStored(ctx, l.Complete(ctx, e), nil)
}

// LogOnly writes e to the streams but not to a PersistentSink. Use it for unauthenticated requests, which could
// otherwise fill the database.
func (l *Log) LogOnly(ctx context.Context, e Event) {
	l.write(ctx, l.Complete(ctx, e), func(s Sink) bool { return !isPersistent(s) })
}

// RecordStored writes an event to every sink except the one that has already stored it, in the transaction of the
// recorded change.
func (l *Log) RecordStored(ctx context.Context, e Event, keeper Sink) {
	l.write(ctx, e, func(s Sink) bool { return s != keeper })
}

func isPersistent(s Sink) bool {
	_, keeps := s.(PersistentSink)
	return keeps
}

func (l *Log) write(ctx context.Context, e Event, to func(Sink) bool) {
	// A client that disconnects must not prevent its own event. A sink that hangs must not block the client for
	// ever. Streams do not hang, and a timer for each request costs a busy program a wake-up.
	ctx = context.WithoutCancel(ctx)
	if slices.ContainsFunc(l.sinks, isPersistent) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sinkTimeout)
		defer cancel()
	}
	for _, sink := range l.sinks {
		if !to(sink) {
			continue
		}
		if err := sink.WriteEvent(ctx, e); err != nil {
			l.logger.ErrorContext(ctx, "audit event not written", "event", string(e.Name), "error", err)
		}
	}
}

// Stream is a sink that writes JSON lines through slog.
type Stream struct{ handler slog.Handler }

var _ Sink = (*Stream)(nil)

// NewStream returns a sink that writes to logger at level info with the key
// "audit" set to true.
func NewStream(logger *slog.Logger) *Stream {
	return &Stream{handler: logger.With("audit", true).Handler()}
}

// WriteEvent writes e as one line. It bypasses the logger, which would look up its caller for every request of a
// proxy, and would hide write errors.
func (s *Stream) WriteEvent(ctx context.Context, e Event) error {
	if !s.handler.Enabled(ctx, slog.LevelInfo) {
		return nil
	}
	attrs := make([]slog.Attr, 0, fields)
	attrs = append(attrs, slog.String("event", string(e.Name)))
	for _, f := range e.Fields() {
		attrs = append(attrs, slog.String(f.Key, f.Value))
	}
	record := slog.NewRecord(e.Time, slog.LevelInfo, "audit", 0)
	record.AddAttrs(attrs...)
	return s.handler.Handle(ctx, record)
}

// fields is the largest number of fields of an event, including its name.
const fields = 15

// Field is a non-empty field of an event with its stable name.
type Field struct{ Key, Value string }

// Fields returns the non-empty fields in a stable order.
func (e Event) Fields() []Field {
	all := []Field{
		{"request_id", e.RequestID},
		{"user_id", e.UserID},
		{"user_name", e.UserName},
		{"actor_id", e.ActorID},
		{"actor_name", e.ActorName},
		{"sign_in_id", e.SignInID},
		{"device_id", e.DeviceID},
		{"token_id", e.TokenID},
		{"client_id", e.ClientID},
		{"cluster_id", e.ClusterID},
		{"connector_id", e.ConnectorID},
		{"address", e.Address},
		{"reason", e.Reason},
		{"detail", e.Detail},
	}
	filled := all[:0]
	for _, f := range all {
		if f.Value != "" {
			filled = append(filled, f)
		}
	}
	return filled
}
