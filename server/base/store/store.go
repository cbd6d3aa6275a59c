// Package store keeps the nouns of the provider: people, sign-ins, devices,
// tokens, keys, connectors, clusters, rules and clients, in SQLite or
// PostgreSQL. It is the only package that speaks to the database. What must be
// atomic is one method here. It decides nothing about protocol or policy beyond
// the pure rules of each noun.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/migrations"
)

// Config says which database to open.
type Config struct {
	// Driver is migrations.SQLite or migrations.Postgres.
	Driver migrations.Dialect
	// DSN is a file path for SQLite and a connection URL for PostgreSQL.
	DSN secret.Value
	// MaxConnections bounds the pool. Zero means 8 for PostgreSQL, and 1 for
	// SQLite: it has one writer at a time, and waiting in a queue for it is fairer
	// and cheaper than trying again and again. One must always be enough.
	MaxConnections int
	// FastSync, for SQLite, lets the last transactions be lost when the machine
	// (not the process) dies. The default waits for the disk at each commit.
	FastSync bool
	// Keyring seals what the database alone must not give away.
	Keyring *secret.Keyring
	// Logger gets what went wrong inside the database driver.
	Logger *slog.Logger
	// Now, when set, lets what is configured be kept in memory for two seconds.
	Now func() time.Time
}

// Store is an open, migrated database.
type Store struct {
	db      *gorm.DB
	sql     *sql.DB
	keyring *secret.Keyring
	driver  migrations.Dialect
	now     func() time.Time
	cache   cache
	prepared
}

const defaultConnections = 8

// Open connects, migrates and returns a store that is ready.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := ownFile(cfg); err != nil {
		return nil, err
	}
	dialector, err := dialectorFor(cfg)
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		PrepareStmt:            false, // twice the cost with pgx, which caches already
		TranslateError:         true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return time.Time{} }, // no column asks gorm for the time
	})
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = defaultConnections
		if cfg.Driver == migrations.SQLite {
			cfg.MaxConnections = 1
		}
	}
	pool.SetMaxOpenConns(cfg.MaxConnections)
	pool.SetMaxIdleConns(cfg.MaxConnections)
	if err := migrations.Apply(ctx, pool, cfg.Driver); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	s := &Store{db: db, sql: pool, keyring: cfg.Keyring, driver: cfg.Driver, now: cfg.Now}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return s, nil
}

// ownFile makes the SQLite file before the driver does, which would let
// everybody on the machine read it. The files beside it inherit its mode.
func ownFile(cfg Config) error {
	if cfg.Driver != migrations.SQLite {
		return nil
	}
	f, err := os.OpenFile(cfg.DSN.Reveal(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the database file: %w", err)
	}
	return f.Close()
}

func dialectorFor(cfg Config) (gorm.Dialector, error) {
	switch cfg.Driver {
	case migrations.SQLite:
		return newSQLite(cfg), nil
	case migrations.Postgres:
		return postgres.New(postgres.Config{DSN: cfg.DSN.Reveal()}), nil
	}
	return nil, fmt.Errorf("database driver %q: want sqlite or postgres", cfg.Driver)
}

// Close closes the pool.
func (s *Store) Close() error { return s.sql.Close() }

// Ping reports whether a query is answered before ctx ends. It goes through the
// pool, so that it notices a pool that is stuck.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.sql.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return errs.Wrap(errs.Unavailable, err, "The database does not answer. Check that it runs.")
	}
	return nil
}

// maxTries bounds how often something is tried that lost against another
// transaction.
const maxTries = 8

// tx runs fn in one transaction. fn must use only its argument: asking the pool
// for a second connection inside would wedge a pool of one. fn runs again when
// the database says that another transaction was in the way, so it must set what
// it hands out anew each time.
func (s *Store) tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.retry(ctx, func() error { return s.db.WithContext(ctx).Transaction(fn) })
}

// exec runs one statement, again like tx, and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	err = s.retry(ctx, func() error {
		res := s.db.WithContext(ctx).Exec(sql, args...)
		rows = res.RowsAffected
		return res.Error
	})
	return rows, err
}

func (s *Store) retry(ctx context.Context, fn func() error) error {
	for try := 1; ; try++ {
		err := fn()
		if try == maxTries || !collided(err) {
			return translate(err)
		}
		select {
		case <-ctx.Done():
			return translate(err)
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)): //nolint:forbidigo,gosec // a pause of any length, neither the time nor a secret
		}
	}
}

// collided reports what PostgreSQL calls a serialization failure (40001) or a
// deadlock (40P01): trying again is the answer to both.
func collided(err error) bool {
	fault, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (fault.Code == "40001" || fault.Code == "40P01")
}

// translate gives database errors their kind.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return errs.Wrap(errs.NotFound, err, "There is no such entry. Check the ID.")
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return errs.Wrap(errs.Conflict, err, "An entry with this name already exists. Choose another name.")
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return errs.Wrap(errs.Conflict, err, "Another entry still uses this one. Change or delete that entry first.")
	case errs.KindOf(err) != errs.Internal:
		return err
	case errors.Is(err, context.Canceled):
		return err
	}
	return errs.Wrap(errs.Unavailable, fmt.Errorf("%w: %w", ErrOutage, err), "The database does not answer. Try again in a moment.")
}

// ErrOutage says that the database could not be asked or did not answer. It is in
// the chain of errors of kind Unavailable.
var ErrOutage = errors.New("database outage")
