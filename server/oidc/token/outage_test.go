package token

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

func TestGraceAfterAnOutage(t *testing.T) {
	t.Parallel()
	const grace = 30 * time.Second
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	down := fmt.Errorf("reading: %w", store.ErrOutage)
	for name, tc := range map[string]struct {
		used, now int
		want      bool
	}{
		"within the grace period":                   {0, 30, true},
		"used just before the outage, asked after":  {99, 165, true},
		"as long as the period after the outage":    {99, 170, true},
		"longer":                                    {99, 171, false},
		"used long before the outage":               {60, 141, false},
		"its period ended as the outage began":      {70, 141, true},
		"used after the outage":                     {150, 181, false},
		"used long after, the outage is no licence": {1000, 1031, false},
	} {
		o := &databaseOutage{}
		o.record(nil, at(0))
		o.record(errors.New("something else"), at(50))
		o.record(down, at(100))
		o.record(down, at(120))
		o.record(errors.New("a refusal says nothing of the database"), at(130))
		o.record(nil, at(140))
		if got := o.inGrace(at(tc.used), at(tc.now), grace); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
