package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Instant is a time in milliseconds since 1970 UTC. It compares the same way in SQLite and PostgreSQL. Zero means
// never.
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

// Strings is a list of strings, stored as JSON.
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

// SecretNote describes a client secret. Hash is the start of its hash. Made and Ends are dates such as 2027-05-31:
// the secret is valid until the end of that day in UTC, or for ever if Ends is empty.
type SecretNote struct {
	Hash  string `json:"hash"`
	Label string `json:"label,omitempty"`
	Made  string `json:"made,omitempty"`
	Ends  string `json:"ends,omitempty"`
}

// EndsAt returns when the secret expires. It returns the zero time when the secret never does.
func (n SecretNote) EndsAt() time.Time {
	day, err := time.Parse(time.DateOnly, n.Ends)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// SecretNotes are stored as JSON.
type SecretNotes []SecretNote

// Of returns the note for the secret with this hash.
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

// Labels are key and value pairs, stored as JSON.
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

// ClaimRules map each claim to its accepted values. They are stored as JSON.
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

// Origin says who owns an entry: the configuration file or the admin pages. Entries of both are never merged field
// by field.
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
