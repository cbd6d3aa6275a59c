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
		{"codes", "hash"},
		{"device_codes", "hash"},
		{"logout_notices", "id"},
		{"access_tokens", "hash"},
		{"refresh_tokens", "hash"},
		{"sign_ins", "id"},
		{"devices", "id"},
		{"attempts", "id"},
		{"links", "hash"},
		{"api_tokens", "id"},
		{"connector_tests", "id"},
		{"revocations", "seq"},
		{"recording_parts", "recording_id"},
		{"recordings", "id"},
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

// RowCounts returns how many rows the tables have that grow with use, but for the
// audit log.
func (s *Store) RowCounts(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, table := range []string{"users", "sign_ins", "devices", "codes", "device_codes", "access_tokens", "refresh_tokens"} {
		var n int64
		if err := s.db.WithContext(ctx).Table(table).Count(&n).Error; err != nil {
			return nil, fmt.Errorf("counting %s: %w", table, translate(err))
		}
		counts[table] = n
	}
	return counts, nil
}

// ActiveSessions is how many sign-ins and devices may be used.
type ActiveSessions struct{ SignIns, Devices int64 }

// CountActiveSessions counts them.
func (s *Store) CountActiveSessions(ctx context.Context, now time.Time) (ActiveSessions, error) {
	var live ActiveSessions
	err := s.db.WithContext(ctx).Model(&SignIn{}).Where("expires > ? AND idle_expires > ? AND ended = 0", At(now), At(now)).Count(&live.SignIns).Error
	if err == nil {
		err = s.db.WithContext(ctx).Model(&Device{}).Where("expires > ? AND idle_expires > ? AND revoked = 0", At(now), At(now)).Count(&live.Devices).Error
	}
	if err != nil {
		return ActiveSessions{}, fmt.Errorf("counting sessions: %w", translate(err))
	}
	return live, nil
}

// Pool is the state of the connections to the database.
type Pool struct{ InUse, Idle, Limit int }

// Pool returns it.
func (s *Store) Pool() Pool {
	stats := s.sql.Stats()
	return Pool{InUse: stats.InUse, Idle: stats.Idle, Limit: stats.MaxOpenConnections}
}
