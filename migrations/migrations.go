// Package migrations migrates a database to the schema of this build. Migrations only go forward, and a released
// file never changes. Package server/base/store explains the tables.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// ErrNewer reports a database that a newer release has migrated. Running an
// older one on it could lose data.
var ErrNewer = errors.New("a newer release of Fairlead created this database. Upgrade Fairlead, or restore a backup from before the upgrade")

// Dialect is a kind of database.
type Dialect string

// The dialects; their values are the folders' names.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Apply runs the missing migrations, one replica at a time. It fails with
// ErrNewer on a schema from the future.
func Apply(ctx context.Context, db *sql.DB, dialect Dialect) error {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading schema version: %w", err)
	}
	if version > newest {
		return fmt.Errorf("schema %d, this release knows %d: %w", version, newest, ErrNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB, dialect Dialect) (*goose.Provider, error) {
	folder, err := fs.Sub(files, string(dialect))
	if err != nil {
		return nil, fmt.Errorf("opening migrations: %w", err)
	}
	gooseDialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == Postgres {
		gooseDialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, fmt.Errorf("making migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(gooseDialect, db, folder, options...)
	if err != nil {
		return nil, fmt.Errorf("opening migrations: %w", err)
	}
	return provider, nil
}
