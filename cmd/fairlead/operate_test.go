package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// operator runs commands on a new database.
type operator struct {
	t    testing.TB
	file string
}

func newOperator(t testing.TB) *operator {
	t.Helper()
	settings, _, _ := databaseSettings(t, false)
	return newOperatorOn(t, settings)
}

// newOperatorOn uses the database of these settings.
func newOperatorOn(t testing.TB, settings string) *operator {
	t.Helper()
	o := &operator{t: t, file: filepath.Join(t.TempDir(), "fairlead.yaml")}
	text := "url: http://127.0.0.1:1\n" + settings + "\n"
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// databaseSettings returns the settings of an empty SQLite or PostgreSQL database, and what sql.Open needs to open it.
func databaseSettings(t testing.TB, postgres bool) (settings, driver, dsn string) {
	t.Helper()
	if postgres {
		dsn = storetest.PostgresConfig(t).DSN.Reveal()
		return "database: {driver: postgres, url: '" + dsn + "'}\ndataKeys: ['" + strings.Repeat("A", 43) + "=']", "pgx", dsn
	}
	dsn = filepath.Join(t.TempDir(), "fairlead.db")
	return "database: {driver: sqlite, path: " + dsn + ", fastSync: true}", "sqlite", dsn
}

// run returns the output of a command, and its error.
func (o *operator) run(args ...string) (string, error) {
	o.t.Helper()
	cmd := newCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--config", o.file))
	err := cmd.ExecuteContext(o.t.Context())
	return out.String(), err
}

func (o *operator) must(args ...string) string {
	o.t.Helper()
	out, err := o.run(args...)
	if err != nil {
		o.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// with opens the database as the server does.
func (o *operator) with(fn func(*store.Store)) {
	o.t.Helper()
	cfg, err := loadConfig(o.file)
	if err != nil {
		o.t.Fatal(err)
	}
	logger, err := logging.New(os.Stderr, "text", "error")
	if err != nil {
		o.t.Fatal(err)
	}
	s, _, err := openStore(o.t.Context(), cfg, logger)
	if err != nil {
		o.t.Fatal(err)
	}
	fn(s)
	if err := s.Close(); err != nil {
		o.t.Fatal(err)
	}
}

// testKey returns a private key in its encrypted, stored form.
func testKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeysCommands(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	if out := o.must("keys", "list"); !strings.Contains(out, "KEY") {
		t.Errorf("list: %s", out)
	}
	if _, err := o.run("keys", "rotate"); err == nil || !strings.Contains(err.Error(), "no next RS256 key") {
		t.Errorf("rotating nothing: %v", err)
	}
	if _, err := o.run("keys", "rotate", "--algorithm", "EdDSA"); err == nil || !strings.Contains(err.Error(), "RS256 or ES256") {
		t.Errorf("another algorithm: %v", err)
	}
	if _, err := o.run("keys", "revoke", "key_x", "--yes"); err == nil || !strings.Contains(err.Error(), "no published key key_x") {
		t.Errorf("revoking nothing: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	o.with(func(s *store.Store) {
		for _, k := range []store.SigningKey{
			{ID: "key_one", Algorithm: "RS256", State: store.KeyActive, Private: s.SealKey("key_one", testKey(t)), Public: "{}", Created: store.At(old), Activated: store.At(old)},
			{ID: "key_two", Algorithm: "RS256", State: store.KeyNext, Private: s.SealKey("key_two", testKey(t)), Public: "{}", Created: store.At(old)},
		} {
			if err := s.AddKey(t.Context(), &k); err != nil {
				t.Fatal(err)
			}
		}
	})
	out, err := o.run("keys", "revoke", "key_one")
	if err == nil || !strings.Contains(err.Error(), "--yes") || !strings.Contains(out, "Every RS256 token") || !strings.Contains(out, "Clusters: none") {
		t.Errorf("without --yes: %v\n%s", err, out)
	}
	if out := o.must("keys", "rotate", "--algorithm", "RS256"); !strings.Contains(out, "signs now") {
		t.Errorf("rotate: %s", out)
	}
	if out := o.must("keys", "revoke", "key_one", "--yes", "--reason", "leaked"); !strings.Contains(out, "is retired") || !strings.Contains(out, "Revoked.") {
		t.Errorf("revoke: %s", out)
	}
	if out := o.must("keys", "list"); !strings.Contains(out, "revoked") || !strings.Contains(out, "active") || !strings.Contains(out, "next") {
		t.Errorf("list: %s", out)
	}
}

func TestPeopleCommands(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	end := store.At(time.Now().Add(time.Hour))
	var id string
	o.with(func(s *store.Store) {
		u, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: "corp", KubeName: "corp:jane", Identity: connectors.Identity{
			Subject: "1", Username: "jane", Email: "jane@example.test", Groups: []string{"corp:dev"},
		}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		id = u.ID
		for _, sid := range []string{"sid_one", "sid_two"} {
			if err := s.CreateSignIn(t.Context(), &store.SignIn{ID: sid, CookieHash: sid, UserID: u.ID, UserAgent: "Firefox", IdleExpires: end, Expires: end}); err != nil {
				t.Fatal(err)
			}
		}
	})
	if out := o.must("user", "list", "JANE@"); !strings.Contains(out, "corp:jane") || !strings.Contains(out, "corp:dev") {
		t.Errorf("list: %s", out)
	}
	if out := o.must("user", "list", "100%"); strings.Contains(out, "corp:jane") {
		t.Errorf("a wildcard in the text: %s", out)
	}
	if out := o.must("user", "show", "CORP:jane"); !strings.Contains(out, "sid_one") || !strings.Contains(out, "sid_two") {
		t.Errorf("show: %s", out)
	}
	o.must("user", "revoke", "corp:jane", "--id", "sid_one")
	if out := o.must("user", "show", "corp:jane"); strings.Contains(out, "sid_one") || !strings.Contains(out, "sid_two") {
		t.Errorf("after one: %s", out)
	}
	if _, err := o.run("user", "revoke", "corp:jane", "--id", "sid_one"); err == nil {
		t.Error("ended twice")
	}
	o.must("user", "revoke", "corp:jane")
	if out := o.must("user", "show", "corp:jane"); strings.Contains(out, "sid_") {
		t.Errorf("after all: %s", out)
	}
	o.must("user", "disable", "corp:jane")
	o.with(func(s *store.Store) {
		if u, err := s.User(t.Context(), id); err != nil || !u.Disabled {
			t.Errorf("user %+v, error %v", u, err)
		}
		events, err := s.AuditEvents(t.Context(), "", 10)
		if err != nil || len(events) < 3 {
			t.Errorf("events %+v, error %v", events, err)
		}
	})
	o.must("user", "enable", "corp:jane")
	if _, err := o.run("user", "disable", "nobody"); err == nil || !strings.Contains(err.Error(), "user list") {
		t.Errorf("nobody: %v", err)
	}
}

func TestClientList(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.with(func(s *store.Store) {
		file := store.Origin{Origin: store.OriginFile}
		if err := s.ApplyFile(t.Context(), store.Settings{
			Clients:   []store.Client{{ID: "app", SecretHashes: store.Strings{"aaaaaaaaaaaa", "bbbbbbbbbbbb"}, Origin: file}, {ID: "keyed", KeySet: "{}", Origin: file}, {ID: "open", Public: true, Origin: file}},
			Workloads: []store.WorkloadRule{{ID: "deploy", Origin: file}},
		}, time.Now()); err != nil {
			t.Fatal(err)
		}
		used := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		for _, name := range []string{store.SecretUseID("app", "aaaaaaaaaaaa"), store.SecretUseID("keyed", "k1"), store.WorkloadRuleUseID("deploy")} {
			if err := s.RecordUse(t.Context(), name, used); err != nil {
				t.Fatal(err)
			}
		}
	})
	out := o.must("client", "list")
	for _, line := range []string{"app secret aaaaaaaa 2026-11-22 12:00:00", "app secret bbbbbbbb -", "keyed key k1 2026-11-22 12:00:00", "open - -", "workload deploy - 2026-11-22 12:00:00"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), line) {
			t.Errorf("no %q in:\n%s", line, out)
		}
	}
}
