package migrations

import (
	"context"
	"database/sql"
)

// UpTo migrates to one version, for tests of the migrations after it.
func UpTo(ctx context.Context, db *sql.DB, dialect Dialect, version int64) error {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}
