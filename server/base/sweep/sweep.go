// Package sweep deletes expired rows from the database in the background, in small
// batches.
package sweep

import (
	"context"
	"log/slog"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// retention is how long expired rows stay, so that the server still recognises and records a late reuse.
const retention = 24 * time.Hour

// interval is the time between sweeps.
const interval = 10 * time.Minute

// Sweeper deletes expired rows.
type Sweeper struct {
	Store  *store.Store
	Logger *slog.Logger
	Now    func() time.Time
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		s.Sweep(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep deletes all expired rows, and compacts the counts of audit events.
func (s *Sweeper) Sweep(ctx context.Context) {
	s.untilDone(ctx, func() (bool, error) { return s.Store.Sweep(ctx, s.Now().Add(-retention)) })
	s.untilDone(ctx, func() (bool, error) { return s.Store.Compact(ctx, s.Now()) })
}

func (s *Sweeper) untilDone(ctx context.Context, part func() (more bool, err error)) {
	for ctx.Err() == nil {
		more, err := part()
		if err != nil {
			if ctx.Err() == nil {
				s.Logger.ErrorContext(ctx, "deleting expired rows failed, retrying", "error", err)
			}
			return
		}
		if !more {
			return
		}
	}
}
