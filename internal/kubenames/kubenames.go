// Package names says which user and group names may reach a Kubernetes API
// server. The server asks it when an identity arrives and the proxy asks it
// again before it impersonates. It knows no connector and no token.
package kubenames

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the most bytes a name may have. Kubernetes sets no limit; an
// impersonation header must still fit a server's header limit.
const MaxLength = 256

// The faults of a name.
var (
	ErrEmpty    = errors.New("is empty")
	ErrLong     = fmt.Errorf("is longer than %d bytes", MaxLength)
	ErrEncoding = errors.New("is not valid UTF-8")
	ErrBlank    = errors.New("begins or ends with white space")
	ErrControl  = errors.New("holds a control or invisible character")
	ErrReserved = errors.New("begins with \"system:\", which Kubernetes reserves")
)

// Check refuses names that a Kubernetes API server would take for one of its
// own, would trim into another name, or that a person can't tell from another:
// "system:" in any case, empty, white space at an edge (HTTP/1.1 trims header
// values), control and invisible characters, and what is not UTF-8.
func Check(name string) error {
	switch {
	case name == "":
		return ErrEmpty
	case len(name) > MaxLength:
		return ErrLong
	case !utf8.ValidString(name):
		return ErrEncoding
	case strings.IndexFunc(name, invisible) >= 0:
		return ErrControl
	case strings.TrimSpace(name) != name:
		return ErrBlank
	case reserved(name):
		return ErrReserved
	}
	return nil
}

// Key folds a name for comparison, so that "Jane" and "jane" can't be two
// people.
func Key(name string) string { return strings.ToLower(name) }

// reserved ignores case and blanks before the colon: RBAC compares exactly, but
// a person who reads "System:masters" in a binding would not.
func reserved(name string) bool {
	head, _, found := strings.Cut(name, ":")
	return found && strings.EqualFold(strings.TrimSpace(head), "system")
}

func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// Line makes one line, of so many characters at most, of what somebody else says.
func SanitizeLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit])
	}
	return strings.TrimSpace(text)
}
