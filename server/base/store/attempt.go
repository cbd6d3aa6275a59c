package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Attempt counts attempts in a window of time, such as wrong passwords. ID is a hash, so the table does not reveal
// user names.
type Attempt struct {
	ID      string
	Tries   int
	Expires Instant
}

// AddAttempts adds one attempt to each counter and returns the counters, in one transaction. A counter restarts at
// the end of its window. The attempt counts before its secret is checked, so that concurrent attempts cannot all
// pass.
func (s *Store) AddAttempts(ctx context.Context, ids []string, now time.Time, window time.Duration) ([]Attempt, error) {
	counters := make([]Attempt, len(ids))
	err := s.tx(ctx, func(tx *gorm.DB) error {
		for i, id := range ids {
			err := tx.Raw("INSERT INTO attempts (id, tries, expires) VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE SET "+
				"tries = CASE WHEN attempts.expires <= ? THEN 1 ELSE attempts.tries + 1 END, "+
				"expires = CASE WHEN attempts.expires <= ? THEN excluded.expires ELSE attempts.expires END "+
				"RETURNING id, tries, expires", id, At(now.Add(window)), At(now), At(now)).Scan(&counters[i]).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("counting tries: %w", err)
	}
	return counters, nil
}

// RemoveAttempts subtracts one from each counter, after an attempt that succeeded.
func (s *Store) RemoveAttempts(ctx context.Context, ids []string) error {
	if _, err := s.exec(ctx, "UPDATE attempts SET tries = tries - 1 WHERE id IN ? AND tries > 0", ids); err != nil {
		return fmt.Errorf("taking tries back: %w", err)
	}
	return nil
}
