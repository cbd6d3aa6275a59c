// Package store stores the provider's data in SQLite or PostgreSQL: users, sessions, devices, tokens, keys,
// connectors, clusters, rules and clients. It is the only package with SQL. Each atomic change is one method.
// Decisions about protocol and policy belong to other packages.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	sqlitedriver "modernc.org/sqlite"

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
	// MaxConnections bounds the pool. Zero means 8 for PostgreSQL and 1 for SQLite. SQLite has one writer at a
	// time, and queueing for its connection is fairer and cheaper than retries. The store must work with one.
	MaxConnections int
	// FastSync, for SQLite, skips the disk sync at each commit. A power failure can then lose the last
	// transactions; a crash of the process cannot.
	FastSync bool
	// Keyring encrypts secrets at rest.
	Keyring *secret.Keyring
	// Logger logs errors of the database driver.
	Logger *slog.Logger
	// Now, when set, lets the store cache the configuration for two seconds.
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

// Open connects to the database, migrates it, and returns the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := createPrivateFile(cfg); err != nil {
		return nil, err
	}
	dialector, err := dialectorFor(cfg)
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		PrepareStmt:            false, // the default costs twice as much with pgx, which caches statements itself
		TranslateError:         true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return time.Time{} }, // no column uses gorm's clock
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

// createPrivateFile creates the SQLite file before the driver does. The driver would make it readable for every user of the
// machine. SQLite gives its companion files the same mode.
func createPrivateFile(cfg Config) error {
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

// Ping reports whether the database answers a query before ctx ends. It uses the pool, so that it also detects an
// exhausted pool.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.sql.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return errs.Wrap(errs.Unavailable, err, "The database does not answer. Check that it runs.")
	}
	return nil
}

// maxTries is how often a transaction runs that conflicts with others.
const maxTries = 8

// tx runs fn in one transaction. fn must use only its argument: a second connection from a pool of one would
// deadlock. fn runs again after a conflict with another transaction, so it must set its results anew each time.
func (s *Store) tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.retry(ctx, func() error { return s.db.WithContext(ctx).Transaction(fn) })
}

// snapshot runs fn in one transaction that reads one state of the database and changes nothing. fn may run more than
// once, like that of tx.
func (s *Store) snapshot(ctx context.Context, fn func(tx *gorm.DB) error) error {
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return s.retry(ctx, func() error { return s.db.WithContext(ctx).Transaction(fn, options) })
}

// exec runs one statement, retries it like tx, and returns the number of changed rows.
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
		if try == maxTries || !isConflict(err) {
			return translate(err)
		}
		select {
		case <-ctx.Done():
			return translate(err)
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)): //nolint:forbidigo,gosec // a random pause needs no secure source
		}
	}
}

// isConflict reports a serialization failure (40001) or a deadlock (40P01) of PostgreSQL. A retry resolves both.
func isConflict(err error) bool {
	fault, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (fault.Code == "40001" || fault.Code == "40P01")
}

// translate sets the kind of a database error.
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
	case unstorable(err):
		return errs.Wrap(errs.Invalid, err, "A value of this request can't be stored: it holds a NUL character, or is too long. Change it and try again.")
	case refused(err):
		return errs.Wrap(errs.Internal, err, "The database refused a statement of this server. Tell the operator of this server the request ID below.")
	}
	return errs.Wrap(errs.Unavailable, fmt.Errorf("%w: %w", ErrOutage, err), "The database does not answer. Try again in a moment.")
}

// refused reports whether the database answered, and refused the statement itself: a table is missing, or the
// statement is wrong. To try again does not help.
func refused(err error) bool {
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := fault.Code[:min(2, len(fault.Code))]
		return slices.Contains([]string{"0A", "23", "26", "34", "42"}, class) // "Appendix A. PostgreSQL Error Codes"
	}
	fault, ok := errors.AsType[*sqlitedriver.Error](err)
	const primary = 0xff // the low byte of an extended code is the primary code
	return ok && slices.Contains([]int{codeError, codeConstraint, codeMismatch, codeMisuse, codeRange}, fault.Code()&primary)
}

// unstorable reports a data exception (class 22, such as a NUL character in a text) or an exceeded limit (class 54, such
// as a value that is too long for an index) of PostgreSQL. The request is at fault, not the database.
func unstorable(err error) bool {
	fault, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(fault.Code, "22") || strings.HasPrefix(fault.Code, "54"))
}

// ErrOutage means that the database is unreachable or does not answer. Errors of kind Unavailable wrap it.
var ErrOutage = errors.New("database outage")
