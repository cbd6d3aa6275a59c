// Package audit records what was decided, granted and refused. The function
// that decides is the function that records. It leaves to its sinks where the
// events are kept.
package audit

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/internal/logging"
)

// Event is one thing that happened. Empty fields are left out where it is
// shown. No field may hold a token, a code, a cookie or a password.
type Event struct {
	Name Name
	// Time is set by Record, in UTC.
	Time time.Time
	// RequestID joins the event to log lines; Record takes it from the context.
	RequestID string
	// UserID and UserName name the user that the event is about; both are empty before a user is known.
	UserID, UserName string
	// ActorID and ActorName name the user who acted, where that is another: the admin who
	// disabled an account. Empty where the user of the event acted.
	ActorID, ActorName string
	// SignInID, DeviceID, TokenID (jti) and ClientID, ClusterID join events.
	SignInID, DeviceID, TokenID string
	ClientID, ClusterID         string
	// ConnectorID says through which connector.
	ConnectorID string
	// Address is the client's network address without a port.
	Address string
	// Reason says in a few fixed words why, for refusals above all.
	Reason string
	// Detail is free text for people, already without secrets.
	Detail string
}

// Sink keeps events.
type Sink interface {
	WriteEvent(ctx context.Context, e Event) error
}

// PersistentSink is a sink that keeps events where they take room.
type PersistentSink interface {
	Sink
	// Persistent tells it from a stream.
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

// patience bounds how long the sinks of one event may take.
const patience = 5 * time.Second

// Complete fills in the time and the request id.
func (l *Log) Complete(ctx context.Context, e Event) Event {
	e.Time = l.now().UTC()
	if e.RequestID == "" {
		e.RequestID = logging.RequestID(ctx)
	}
	return e
}

// Record writes e to every sink. It completes the time and the request id.
func (l *Log) Record(ctx context.Context, e Event) {
	l.RecordStored(ctx, l.Complete(ctx, e), nil)
}

// LogOnly writes e to the streams and keeps it nowhere. It is for what somebody
// did who has proved nothing: anybody could fill a database with it.
func (l *Log) LogOnly(ctx context.Context, e Event) {
	l.write(ctx, l.Complete(ctx, e), func(s Sink) bool { return !isKeeper(s) })
}

// RecordStored writes a completed event to every sink but the one that has kept it
// already, in the transaction that the event is about.
func (l *Log) RecordStored(ctx context.Context, e Event, keeper Sink) {
	l.write(ctx, e, func(s Sink) bool { return s != keeper })
}

func isKeeper(s Sink) bool {
	_, keeps := s.(PersistentSink)
	return keeps
}

func (l *Log) write(ctx context.Context, e Event, to func(Sink) bool) {
	// A client that hangs up must not keep its own event from being written, and
	// a sink that hangs must not keep the client for ever. Streams don't hang, and a timer
	// for each request costs a busy program a wake-up.
	ctx = context.WithoutCancel(ctx)
	if slices.ContainsFunc(l.sinks, isKeeper) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
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

// WriteEvent writes e as one line. It goes past the logger, which would look up
// who called it, for a proxy at every request, and keep an error to itself.
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

// fields is how many an event can have, its name included.
const fields = 15

// Field is a filled field of an event under its stable name.
type Field struct{ Key, Value string }

// Fields returns the filled fields in a stable order.
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
