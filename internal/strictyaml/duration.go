package strictyaml

import (
	"fmt"
	"time"
)

// Duration is a length of time that is written "30s", "10m" or "12h".
type Duration time.Duration

// UnmarshalText reads it. A negative one is refused.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return &ValueError{Message: fmt.Sprintf("want a length of time such as 30s, 10m or 12h, got %q", text)}
	}
	*d = Duration(parsed)
	return nil
}
