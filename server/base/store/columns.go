package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Instant is a time in milliseconds since 1970 UTC: the same on both databases,
// comparable in SQL. Zero means never, or not yet.
type Instant int64

// At converts t. The zero time becomes zero.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Time converts back, in UTC. Zero becomes the zero time.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

// Passed reports whether the instant is set and not after now.
func (i Instant) Passed(now time.Time) bool { return i != 0 && i <= At(now) }

// Strings is a list of texts, kept as JSON.
type Strings []string

// Value implements driver.Valuer.
func (s Strings) Value() (driver.Value, error) {
	if s == nil {
		return "[]", nil
	}
	return toJSON(s)
}

// Scan implements sql.Scanner.
func (s *Strings) Scan(src any) error { return fromJSON(src, s) }

// SecretNote is what is said about a secret. Hash is the beginning of its hash, Made and
// Ends are dates such as 2027-05-31; it is good to the end of that day, in UTC, and
// without an end it stays good.
type SecretNote struct {
	Hash  string `json:"hash"`
	Label string `json:"label,omitempty"`
	Made  string `json:"made,omitempty"`
	Ends  string `json:"ends,omitempty"`
}

// EndsAt is when the secret is good no more; zero when it stays good.
func (n SecretNote) EndsAt() time.Time {
	day, err := time.Parse(time.DateOnly, n.Ends)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// SecretNotes are kept as JSON.
type SecretNotes []SecretNote

// Of returns what is said about the secret with this hash.
func (s SecretNotes) Of(hash string) SecretNote {
	for _, n := range s {
		if n.Hash != "" && strings.HasPrefix(hash, n.Hash) {
			return n
		}
	}
	return SecretNote{}
}

// Value implements driver.Valuer.
func (s SecretNotes) Value() (driver.Value, error) {
	if s == nil {
		return "[]", nil
	}
	return toJSON(s)
}

// Scan implements sql.Scanner.
func (s *SecretNotes) Scan(src any) error { return fromJSON(src, s) }

// Labels are key and value pairs, kept as JSON.
type Labels map[string]string

// Value implements driver.Valuer.
func (l Labels) Value() (driver.Value, error) {
	if l == nil {
		return "{}", nil
	}
	return toJSON(l)
}

// Scan implements sql.Scanner.
func (l *Labels) Scan(src any) error { return fromJSON(src, l) }

// ClaimRules are claims with the values that each may have, kept as JSON.
type ClaimRules map[string][]string

// Value implements driver.Valuer.
func (c ClaimRules) Value() (driver.Value, error) {
	if c == nil {
		return "{}", nil
	}
	return toJSON(c)
}

// Scan implements sql.Scanner.
func (c *ClaimRules) Scan(src any) error { return fromJSON(src, c) }

func toJSON(v any) (driver.Value, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding column: %w", err)
	}
	return string(b), nil
}

func fromJSON(src, dst any) error {
	var b []byte
	switch text := src.(type) {
	case string:
		b = []byte(text)
	case []byte:
		b = text
	default:
		return fmt.Errorf("decoding column: got %T, want text", src)
	}
	if err := json.Unmarshal(b, dst); err != nil {
		return fmt.Errorf("decoding column: %w", err)
	}
	return nil
}

// Origin says who owns an entry: the configuration file or the pages. Entries
// are never merged field by field.
type Origin struct {
	// Origin is OriginFile, OriginPage or OriginBuiltIn.
	Origin string
	// OriginRef is "FILE:LINE" for entries from a file.
	OriginRef string
}

// The origins.
const (
	OriginFile    = "file"
	OriginPage    = "page"
	OriginBuiltIn = "built-in"
)
