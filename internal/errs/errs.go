// Package errs gives errors a kind and a message for people. It leaves to the
// edge (server/base/web, server/base/oauth) how a kind is answered.
package errs

import (
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/internal/i18n"
)

// Kind says what went wrong in terms that a caller can act on.
type Kind string

// The kinds. An error without a kind is Internal.
const (
	Internal        Kind = "internal"
	NotFound        Kind = "not_found"
	Conflict        Kind = "conflict"
	Invalid         Kind = "invalid"
	Denied          Kind = "denied"
	Unauthenticated Kind = "unauthenticated"
	Unavailable     Kind = "unavailable"
)

// Error is an error with a kind and a sentence that a person may read.
type Error struct {
	kind    Kind
	message i18n.Text
	cause   error
}

// New returns an error of kind k. The message, a format with arguments as those of i18n.T,
// is written for a person and must hold no secret.
func New(k Kind, message string, args ...any) *Error { return Wrap(k, nil, message, args...) }

// Wrap returns an error of kind k with a message for people and a cause for
// the log. A nil cause is allowed.
func Wrap(k Kind, cause error, message string, args ...any) *Error {
	return &Error{kind: k, message: i18n.T(message, args...), cause: cause}
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.message.String()
	}
	return fmt.Sprintf("%s: %v", e.message, e.cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the outermost Error in err's chain, or Internal,
// so that nothing leaks by default.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.kind
	}
	return Internal
}

// Is reports whether err has kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Message returns the sentence for people in English, or "" when err has none.
func Message(err error) string { return Text(err).String() }

// Text returns the sentence for people, to be said in their language; nothing when err has none.
func Text(err error) i18n.Text {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.message
	}
	return i18n.Text{}
}
