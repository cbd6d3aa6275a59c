// Package kubenames decides which user and group names may reach a Kubernetes API server. The server
// checks the names of an identity, and the proxy checks them again before it impersonates a user.
package kubenames

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the maximum length of a name, in bytes. Kubernetes has no limit, but impersonation headers
// must fit into a server's header limit.
const MaxLength = 256

// The reasons why a name is not allowed.
var (
	ErrEmpty    = errors.New("is empty")
	ErrLong     = fmt.Errorf("is longer than %d bytes", MaxLength)
	ErrEncoding = errors.New("is not valid UTF-8")
	ErrBlank    = errors.New("begins or ends with white space")
	ErrControl  = errors.New("holds a control or invisible character")
	ErrReserved = errors.New("begins with \"system:\", which Kubernetes reserves")
)

// Check refuses names that an API server would interpret or change, and names that users cannot tell apart. It
// refuses "system:" in any case, empty names, white space at either end (HTTP/1.1 trims header values), control and
// invisible characters, and invalid UTF-8.
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

// Key returns a name in lower case for comparisons, so that "Jane" and "jane" are the same user.
func Key(name string) string { return strings.ToLower(name) }

// reserved ignores case and white space before the colon. RBAC compares exactly, but a person would not
// notice "System:masters" in a binding.
func reserved(name string) bool {
	head, _, found := strings.Cut(name, ":")
	return found && strings.EqualFold(strings.TrimSpace(head), "system")
}

func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// SanitizeLine removes control and invisible characters from untrusted text, and cuts it to limit runes.
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
