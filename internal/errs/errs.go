// Package errs defines errors with a kind, such as NotFound, and a translatable message that
// a user may read. server/base/web and server/base/oauth map a kind to a response.
package errs

import (
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/internal/i18n"
)

// Kind classifies an error, so that a caller can choose a response.
type Kind string

// The kinds. Errors of other packages count as Internal.
const (
	Internal        Kind = "internal"
	NotFound        Kind = "not_found"
	Conflict        Kind = "conflict"
	Invalid         Kind = "invalid"
	Denied          Kind = "denied"
	Unauthenticated Kind = "unauthenticated"
	Unavailable     Kind = "unavailable"
)

// Error is an error with a kind and a message that a user may read.
type Error struct {
	kind    Kind
	message i18n.Text
	cause   error
}

// New returns an error of kind k. Message and args are those of i18n.T. The message is shown
// to users and must not contain a secret.
func New(k Kind, message string, args ...any) *Error { return Wrap(k, nil, message, args...) }

// Wrap returns an error of kind k with a message for users and a cause for the log. The
// cause may be nil.
func Wrap(k Kind, cause error, message string, args ...any) *Error {
	return &Error{kind: k, message: i18n.T(message, args...), cause: cause}
}

// Error returns the English message and the cause, for the log.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.message.String()
	}
	return fmt.Sprintf("%s: %v", e.message, e.cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the outermost Error in err's chain, or Internal if there is
// none, so that other errors are not shown to users.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.kind
	}
	return Internal
}

// Is reports whether err has kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Message returns the message for users in English, or "" if err has none.
func Message(err error) string { return Text(err).String() }

// Text returns the translatable message for users, or the zero value if err has none.
func Text(err error) i18n.Text {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.message
	}
	return i18n.Text{}
}
