// Package storetest gives tests a fresh, migrated store on every database. It
// is imported by tests only.
package storetest

import (
	"context"
	"database/sql"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver to make databases with

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/migrations"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// DSNVariable names the environment variable with the URL of a PostgreSQL
// server on which databases may be made and dropped. "make test" sets it.
const DSNVariable = "FAIRLEAD_TEST_POSTGRES"

// Each runs fn on a fresh store of each database. Without a PostgreSQL server
// that half is skipped on a laptop and fails in CI.
func Each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, Open(t, PostgresConfig(t)))
	})
}

// Keyring returns a key ring for tests.
func Keyring(tb testing.TB) *secret.Keyring {
	tb.Helper()
	ring, err := secret.NewKeyring(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// SQLite returns a fresh store with a pool of one connection, which must always
// be enough.
func SQLite(tb testing.TB) *store.Store {
	tb.Helper()
	return Open(tb, SQLiteConfig(tb))
}

// SQLiteConfig describes a fresh SQLite file with a pool of one connection.
func SQLiteConfig(tb testing.TB) store.Config {
	tb.Helper()
	return store.Config{
		Driver: migrations.SQLite, DSN: secret.NewValue(filepath.Join(tb.TempDir(), "fairlead.db")),
		MaxConnections: 1, FastSync: true, Keyring: Keyring(tb), Logger: slog.New(slog.DiscardHandler),
	}
}

// PostgresConfig describes a fresh PostgreSQL database. Open it more than once
// to play several replicas.
func PostgresConfig(tb testing.TB) store.Config {
	tb.Helper()
	dsn := prerequisite.Variable(tb, DSNVariable, "PostgreSQL")
	return store.Config{
		Driver: migrations.Postgres, DSN: secret.NewValue(freshDatabase(tb, dsn)),
		MaxConnections: 4, Keyring: Keyring(tb), Logger: slog.New(slog.DiscardHandler),
	}
}

// Open opens a store and closes it with the test.
func Open(tb testing.TB, cfg store.Config) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func freshDatabase(tb testing.TB, dsn string) string {
	tb.Helper()
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	name := "t_" + strings.TrimPrefix(secret.ID("db"), "db_")
	if _, err := admin.ExecContext(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
		if err := admin.Close(); err != nil {
			tb.Error(err)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
