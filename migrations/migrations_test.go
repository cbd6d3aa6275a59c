package migrations_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the drivers to fill old databases with
	_ "modernc.org/sqlite"

	"github.com/fairlead-auth/fairlead/migrations"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// beforeCounts is the last schema that does not count audit events.
const beforeCounts = 11

// TestCountsOfEventsBeforeTheUpgrade fills a database as an older release does, upgrades it
// and compares the counts with the events.
func TestCountsOfEventsBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg(t)
			driver, dsn := "pgx", cfg.DSN.Reveal()
			if cfg.Driver == migrations.SQLite {
				driver = "sqlite"
			}
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			if err := migrations.UpTo(t.Context(), db, cfg.Driver, beforeCounts); err != nil {
				t.Fatal(err)
			}
			for i := range 300 {
				if _, err := db.ExecContext(t.Context(), oldEvent(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			storetest.CompareCounts(t, storetest.Open(t, cfg))
		})
	}
}

// oldEvent is a statement that stores a random event as an older release does.
func oldEvent(i int) string {
	pick := func(words ...string) string { return words[rand.N(len(words))] }
	return fmt.Sprintf("INSERT INTO audit_events (id, time, name, request_id, user_id, user_name, sign_in_id, device_id, token_id, client_id, cluster_id, connector_id, address, reason, detail) "+
		"VALUES ('evt_%d', %d, '%s', '', '', '', '', '', '', '', '%s', '%s', '', '%s', '')",
		i, 1_790_000_000_000+rand.N(int64(40*24*3_600_000)), pick("token.issued", "sign_in.failed", "user.disabled", "proxy.request"), pick("", "prod", "dev"), pick("", "corp", "ldap"),
		pick("", "refresh_token", "not_found"))
}
