package strictyaml

import (
	"fmt"
	"time"
)

// Duration is a duration in the form of time.ParseDuration: "30s", "10m", "12h".
type Duration time.Duration

// UnmarshalText parses a duration of zero or more.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return &ValueError{Message: fmt.Sprintf("must be a duration such as 30s, 10m or 12h, got %q", text)}
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText formats the duration as UnmarshalText parses it.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}
