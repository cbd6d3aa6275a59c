// Package logging configures log/slog and adds the request id of the context to each
// record. Audit events are in internal/audit.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
)

// New returns a logger that writes to w. Format is "json" or "text"; level is
// "debug", "info", "warn" or "error". Each line carries the request id.
func New(w io.Writer, format, level string) (*slog.Logger, error) {
	var lvl slog.Level
	if err := lvl.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: must be debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: lvl}
	switch format {
	case "json":
		return slog.New(requestIDHandler{slog.NewJSONHandler(w, opts)}), nil
	case "text":
		return slog.New(requestIDHandler{slog.NewTextHandler(w, opts)}), nil
	}
	return nil, fmt.Errorf("log format %q: must be json or text", format)
}

type requestIDKey struct{}

// minRequestID and maxRequestID limit the length of a request id that a client chooses.
const (
	minRequestID = 8
	maxRequestID = 64
)

// WithRequestID returns a context that carries id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id that the context carries, or "".
func RequestID(ctx context.Context) string {
	id, ok := ctx.Value(requestIDKey{}).(string)
	if !ok {
		return ""
	}
	return id
}

// NewRequestID returns the client's request id if it has 8 to 64 characters, all of them
// letters, digits, "-" or "_". Otherwise it returns a new one, so that a client can't inject
// text into the logs.
func NewRequestID(given string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if len(given) >= minRequestID && len(given) <= maxRequestID && strings.TrimFunc(given, plain) == "" {
		return given
	}
	return "req_" + strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // an id need not be secret
}

// requestIDHandler adds the request id of the context to each record that has none.
type requestIDHandler struct{ slog.Handler }

func (h requestIDHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" && !has(r, "request_id") {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestIDHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestIDHandler) WithGroup(name string) slog.Handler {
	return requestIDHandler{h.Handler.WithGroup(name)}
}

func has(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}
