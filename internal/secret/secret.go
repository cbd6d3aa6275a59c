// Package secret makes, hashes, seals and hides what must not be printed. It
// leaves to its callers where a secret is stored and how long it lives.
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

// Value holds a secret that doesn't print: not with fmt, slog or JSON.
type Value struct{ s string }

// NewValue wraps s.
func NewValue(s string) Value { return Value{s: s} }

// Reveal returns the secret itself. Each call is a place to look at in review.
func (v Value) Reveal() string { return v.s }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.s == "" }

// Equal compares in constant time.
func (v Value) Equal(s string) bool {
	a, b := sha256.Sum256([]byte(v.s)), sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String hides the secret.
func (v Value) String() string { return redacted }

// GoString hides the secret from %#v.
func (v Value) GoString() string { return redacted }

// LogValue hides the secret from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the secret.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// UnmarshalJSON takes a secret from a JSON string.
func (v *Value) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &v.s) }

// MarshalYAML hides the secret.
func (v Value) MarshalYAML() (any, error) { return redacted, nil }

// UnmarshalText takes a secret from text, which is how YAML hands it over.
func (v *Value) UnmarshalText(b []byte) error {
	v.s = string(b)
	return nil
}

// Token returns 256 bits of randomness in 43 characters of base64url: for
// refresh tokens, codes and cookies.
func Token() Value {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return Value{s: base64.RawURLEncoding.EncodeToString(b[:])}
}

// ID returns a name for a row: the prefix, an underscore and 130 random bits in
// lower-case base32. It is not a secret, but it can't be guessed either.
func ID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()) }

// Hash is what is stored of a token: the SHA-256 of it, in unpadded base32. It
// is text and not bytes, because gorm expands a byte slice after an opening
// parenthesis into one placeholder per byte.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// Digits returns n random numbers below base, which must be at most 256, each as
// likely as the others.
func Digits(n, base int) []int {
	digits := make([]int, 0, n)
	most := 256 - 256%base
	for len(digits) < n {
		var b [1]byte
		rand.Read(b[:])
		if int(b[0]) < most {
			digits = append(digits, int(b[0])%base)
		}
	}
	return digits
}
