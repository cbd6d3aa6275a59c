package store

import (
	"context"
	"fmt"
	"time"
)

// sweepRows bounds the rows that one statement deletes, so that a sweep never blocks the database for long.
const sweepRows = 2000

// Sweep deletes rows that expired before the given time, a batch of each table, and reports whether more may be
// left.
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

// RowCounts returns the number of rows of the tables that grow with use, except the audit log.
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

// ActiveSessions counts the active sessions and devices.
type ActiveSessions struct{ SignIns, Devices int64 }

// CountActiveSessions counts the active sessions and devices.
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

// Pool is the state of the connection pool.
type Pool struct{ InUse, Idle, Limit int }

// Pool returns the state of the connection pool.
func (s *Store) Pool() Pool {
	stats := s.sql.Stats()
	return Pool{InUse: stats.InUse, Idle: stats.Idle, Limit: stats.MaxOpenConnections}
}
