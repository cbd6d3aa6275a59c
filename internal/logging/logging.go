// Package logging sets up slog and carries the request id. It leaves audit
// events to internal/audit.
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
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: lvl}
	switch format {
	case "json":
		return slog.New(withID{slog.NewJSONHandler(w, opts)}), nil
	case "text":
		return slog.New(withID{slog.NewTextHandler(w, opts)}), nil
	}
	return nil, fmt.Errorf("log format %q: want json or text", format)
}

type requestIDKey struct{}

// maxRequestID is how many characters of a given request id are kept.
const maxRequestID = 64

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

// NewRequestID returns the given id when it is short and plain, else a new one.
// A client may name its request, but not write into our logs.
func NewRequestID(given string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if len(given) >= 8 && len(given) <= maxRequestID && strings.TrimFunc(given, plain) == "" {
		return given
	}
	return "req_" + strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // it tells requests apart, and hides nothing
}

// withID adds the request id of the context to each record.
type withID struct{ slog.Handler }

func (h withID) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" && !has(r, "request_id") {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withID) WithAttrs(attrs []slog.Attr) slog.Handler { return withID{h.Handler.WithAttrs(attrs)} }

func (h withID) WithGroup(name string) slog.Handler { return withID{h.Handler.WithGroup(name)} }

func has(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}
