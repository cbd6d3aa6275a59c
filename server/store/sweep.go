package store

import (
	"context"
	"fmt"
	"time"
)

// sweepRows bounds one sweep of one table, so that it never holds the database
// for long.
const sweepRows = 2000

// Sweep deletes what expired before the given time, some rows of each table at
// a time, and reports whether there may be more.
func (s *Store) Sweep(ctx context.Context, before time.Time) (more bool, err error) {
	for _, table := range []struct{ name, key string }{
		{"codes", "hash"}, {"access_tokens", "hash"}, {"refresh_tokens", "hash"}, {"sign_ins", "id"}, {"devices", "id"},
	} {
		res := s.db.WithContext(ctx).Exec(fmt.Sprintf(
			"DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE expires <= ? LIMIT %[3]d)",
			table.name, table.key, sweepRows), At(before))
		if res.Error != nil {
			return false, fmt.Errorf("sweeping %s: %w", table.name, translate(res.Error))
		}
		more = more || res.RowsAffected == sweepRows
	}
	return more, nil
}
