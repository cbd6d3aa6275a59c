package drills_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to fill the database behind the server's back
	_ "modernc.org/sqlite"             // likewise

	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// filler makes devices with their tokens out of the one that is there, a million
// in one statement. Every row is like a real one; only its hashes are made up.
func fill(t *testing.T, driver, dsn string, from, to int) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	series := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", from+1, to)
	for _, statement := range []string{
		series + "INSERT INTO users (id, connector_id, subject, kube_name, name_key, login, display_name, email, email_verified, group_names, upstream_data, disabled, created, last_sign_in, checked) " +
			"SELECT 'usr_' || i, connector_id, 'grown' || i, 'local:grown' || i, 'local:grown' || i, 'grown' || i, display_name, email, email_verified, group_names, upstream_data, disabled, created, last_sign_in, checked " +
			"FROM n, (SELECT * FROM users WHERE login = 'user0') u WHERE i % 20 = 0 OR i = " + fmt.Sprint(from+1),
		series + "INSERT INTO devices (id, user_id, client_id, sign_in_id, host, address, scopes, amr, nonce, authenticated, created, last_used, idle_expires, expires, revoked, reason) " +
			"SELECT 'dev_grown' || i, d.user_id, client_id, sign_in_id, 'host' || i, address, scopes, amr, nonce, authenticated, created, last_used, idle_expires, expires, revoked, reason " +
			"FROM n, (SELECT * FROM devices LIMIT 1) d",
		series + "INSERT INTO refresh_tokens (hash, device_id, created, expires, used, successor_hash, sealed_answer) " +
			"SELECT 'grown' || i || substr(r.hash, 1, 40), 'dev_grown' || i, created, expires, 0, '', '' FROM n, (SELECT * FROM refresh_tokens LIMIT 1) r",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%.80s: %v", statement, err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// TestGrowth measures refreshes and sign-ins with more and more devices stored.
// The cost of a token request must not depend on how many others there are.
func TestGrowth(t *testing.T) { //nolint:paralleltest // it measures time
	sizes := []int{100, 2000}
	rounds := 30
	if *long {
		sizes, rounds = []int{1000, 100_000, 1_000_000}, 400
	}
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/db"
			driver, dsn, database := "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)", fmt.Sprintf("{driver: sqlite, path: %s}", file)
			if name == "postgres" {
				driver, dsn = "pgx", storetest.PostgresConfig(t).DSN.Reveal()
				database = fmt.Sprintf("{driver: postgres, url: %s}", quoted(dsn))
			}
			nodes := startNodes(t, 1, database, extras{})
			device := signInAt(t, nodes[0], 0)
			var first, signIn time.Duration
			had := 0
			for _, size := range sizes {
				fill(t, driver, dsn, had, size)
				had = size
				time.Sleep(500 * time.Millisecond) // the database settles
				refresh := median(rounds, func() {
					got := refreshAt(nodes[0].address, device.token)
					if got.status != 200 {
						t.Fatalf("%d %s", got.status, got.raw)
					}
					device.token = got.refresh
				})
				in := median(max(5, rounds/20), func() { signInAt(t, nodes[0], 1) })
				if first == 0 {
					first, signIn = refresh, in
				}
				t.Logf("%8d devices: refresh p50 %v (%.2f ×), sign-in p50 %v (%.2f ×)", size, refresh.Round(10*time.Microsecond),
					float64(refresh)/float64(first), in.Round(time.Millisecond), float64(in)/float64(signIn))
			}
		})
	}
}

func median(n int, do func()) time.Duration {
	took := make([]time.Duration, n)
	for i := range n {
		began := time.Now()
		do()
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2]
}
