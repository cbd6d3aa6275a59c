package store

import "context"

// SetSchemaVersion plays a database that a newer release has migrated.
func (s *Store) SetSchemaVersion(ctx context.Context, version int) error {
	return s.db.WithContext(ctx).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", version, true).Error
}
