package store

import (
	"context"
	"time"
)

// SetSchemaVersion plays a database that a newer release has migrated.
func (s *Store) SetSchemaVersion(ctx context.Context, version int) error {
	return s.db.WithContext(ctx).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", version, true).Error
}

// CountSlots returns how many rows of counts before a time are not merged.
func (s *Store) CountSlots(ctx context.Context, before time.Time) (rows int64, err error) {
	err = s.db.WithContext(ctx).Raw("SELECT (SELECT COUNT(*) FROM event_counts WHERE slot <> 0 AND hour < ?) + (SELECT COUNT(*) FROM cluster_event_counts WHERE slot <> 0 AND day < ?)",
		At(before), dayOf(At(before))).Scan(&rows).Error
	return rows, err
}

// DropRecordings removes a table, as no migration does.
func (s *Store) DropRecordings(ctx context.Context) error {
	return s.db.WithContext(ctx).Exec("DROP TABLE recordings").Error
}
