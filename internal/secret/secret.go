// Package secret generates, hashes and encrypts tokens and other secrets, and provides
// Value, a string that fmt, slog and JSON print as "[redacted]". Callers decide where a
// secret is stored and when it expires.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Value holds a secret. fmt, slog, JSON and YAML print "[redacted]" instead of it.
type Value struct{ s string }

// NewValue returns a Value that holds s.
func NewValue(s string) Value { return Value{s: s} }

// Reveal returns the secret itself. Review every call.
func (v Value) Reveal() string { return v.s }

// Empty reports whether the secret is empty.
func (v Value) Empty() bool { return v.s == "" }

// Equal compares the secret with s in constant time.
func (v Value) Equal(s string) bool {
	a, b := sha256.Sum256([]byte(v.s)), sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns "[redacted]".
func (v Value) String() string { return redacted }

// GoString returns "[redacted]", for %#v.
func (v Value) GoString() string { return redacted }

// LogValue returns "[redacted]", for slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes "[redacted]".
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// UnmarshalJSON reads the secret from a JSON string.
func (v *Value) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &v.s) }

// MarshalYAML writes "[redacted]", and an empty string for an empty secret.
func (v Value) MarshalYAML() (any, error) {
	if v.Empty() {
		return "", nil
	}
	return redacted, nil
}

// UnmarshalText reads the secret from text. The YAML decoder calls it.
func (v *Value) UnmarshalText(b []byte) error {
	v.s = string(b)
	return nil
}

// Token returns 256 random bits as 43 characters of base64url, for refresh tokens, codes and
// cookies.
func Token() Value {
	var b [32]byte
	rand.Read(b[:]) // it returns no error: crypto/rand ends the program instead
	return Value{s: base64.RawURLEncoding.EncodeToString(b[:])}
}

// ID returns a row id: the prefix, an underscore and 130 random bits in lower-case base32. It
// can't be guessed, but it is not a secret.
func ID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()) }

// Hash returns the SHA-256 of a token in lower-case, unpadded base32, for storage. It returns
// text and not bytes, because gorm expands a byte slice after an opening parenthesis into
// one placeholder per byte.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// Digits returns n uniformly distributed random numbers from 0 to base-1. Base must be at
// most 256.
func Digits(n, base int) []int {
	digits := make([]int, 0, n)
	limit := 256 - 256%base // above it, small digits would be more likely
	for len(digits) < n {
		var b [1]byte
		rand.Read(b[:])
		if int(b[0]) < limit {
			digits = append(digits, int(b[0])%base)
		}
	}
	return digits
}
