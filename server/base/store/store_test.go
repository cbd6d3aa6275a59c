package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/migrations"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func person(subject, login string, groups ...string) store.ResolvedIdentity {
	return store.ResolvedIdentity{
		ConnectorID: "corp", KubeName: "corp:" + login,
		Identity: connectors.Identity{Subject: subject, Username: login, Name: "N", Email: login + "@example.test", Groups: groups, Data: []byte("upstream-token")},
	}
}

func mustUser(t *testing.T, s *store.Store, subject, login string) *store.User {
	t.Helper()
	u, _, err := s.SignInUser(t.Context(), person(subject, login, "corp:dev"), noon())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSignInUserKeepsThePerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first, created, err := s.SignInUser(t.Context(), person("17", "jane", "corp:dev"), noon())
		if err != nil || !created {
			t.Fatalf("created %v, error %v", created, err)
		}
		// The login changes upstream; the subject doesn't.
		again, created, err := s.SignInUser(t.Context(), person("17", "jane.doe", "corp:ops"), noon().Add(time.Hour))
		if err != nil || created {
			t.Fatalf("created %v, error %v", created, err)
		}
		if again.ID != first.ID || again.KubeName != "corp:jane.doe" {
			t.Errorf("got %+v", again)
		}
		stored, err := s.User(t.Context(), first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(store.Strings{"corp:ops"}, stored.GroupNames); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		id, err := s.Identity(stored)
		if err != nil || string(id.Data) != "upstream-token" {
			t.Errorf("data %q, error %v", id.Data, err)
		}
	})
}

func TestSignInUserRefusesATakenName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mustUser(t, s, "17", "jane")
		for _, login := range []string{"jane", "Jane", "JANE"} {
			_, _, err := s.SignInUser(t.Context(), person("99", login), noon())
			if !errs.Is(err, errs.Conflict) {
				t.Errorf("%s: error %v, want a conflict", login, err)
			}
		}
	})
}

func TestErrorsAreTranslated(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := mustUser(t, s, "17", "jane")
		row := store.SignIn{ID: "s1", CookieHash: "h1", UserID: u.ID, Expires: 1, IdleExpires: 1}
		if err := s.CreateSignIn(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		duplicate, unique := row, row
		unique.ID = "s3"
		for name, bad := range map[string]store.SignIn{"primary key": duplicate, "unique index": unique} {
			if err := s.CreateSignIn(t.Context(), &bad); !errs.Is(err, errs.Conflict) {
				t.Errorf("%s: error %v, want a conflict", name, err)
			}
		}
		if _, err := s.User(t.Context(), "nobody"); !errs.Is(err, errs.NotFound) {
			t.Errorf("missing row: error %v, want not found", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.User(ended, u.ID); err == nil || errs.Is(err, errs.NotFound) {
			t.Errorf("ended context: error %v", err)
		}
	})
}

// session returns the id of the user's session, which is the id of the user. It makes the session if it is missing.
func session(t *testing.T, s *store.Store, u *store.User) string {
	t.Helper()
	end := store.At(noon().Add(24 * time.Hour))
	err := s.CreateSignIn(t.Context(), &store.SignIn{ID: u.ID, CookieHash: u.ID, UserID: u.ID, IdleExpires: end, Expires: end})
	if err != nil && !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
	return u.ID
}

// device makes a device with one refresh token and returns the token.
func device(t *testing.T, s *store.Store, u *store.User) (*store.Device, string) {
	t.Helper()
	token, code := secret.Token().Reveal(), secret.Token().Reveal()
	d := &store.Device{
		ID: secret.ID("dev"), UserID: u.ID, ClientID: "kubectl-fairlead",
		Expires: store.At(noon().Add(24 * time.Hour)), IdleExpires: store.At(noon().Add(12 * time.Hour)),
	}
	row := &store.Code{Hash: secret.Hash(code), UserID: u.ID, SignInID: session(t, s, u), Expires: store.At(noon().Add(time.Minute))}
	if err := s.CreateCode(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	won, err := s.RedeemCode(t.Context(), store.Redemption{
		CodeHash: row.Hash, Device: d,
		Access:  store.AccessToken{Hash: secret.Hash(secret.Token().Reveal()), UserID: u.ID, SignInID: u.ID, DeviceID: d.ID, Expires: d.Expires},
		Refresh: &store.RefreshToken{Hash: secret.Hash(token), DeviceID: d.ID, Expires: d.Expires},
	}, noon())
	if err != nil || !won {
		t.Fatalf("redeeming: %v, %v", won, err)
	}
	return d, token
}

func rotation(d *store.Device, presented string) store.Rotation {
	return store.Rotation{
		Presented:    secret.Hash(presented),
		Successor:    store.RefreshToken{Hash: secret.Hash(secret.Token().Reveal()), DeviceID: d.ID, Expires: d.Expires},
		Access:       store.AccessToken{Hash: secret.Hash(secret.Token().Reveal()), UserID: d.UserID, DeviceID: d.ID, Expires: d.Expires},
		SealedAnswer: secret.ID("answer"), IdleExpires: d.IdleExpires,
	}
}

// replicas runs fn eight times at once, spread over two stores.
func replicas(t *testing.T, stores []*store.Store, fn func(s *store.Store) (bool, error)) (wins int) {
	t.Helper()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	start := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			<-start
			won, err := fn(stores[i%len(stores)])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if won {
				wins++
			}
		})
	}
	close(start)
	wg.Wait()
	return wins
}

func eachWithReplicas(t *testing.T, fn func(t *testing.T, stores []*store.Store)) {
	t.Helper()
	t.Run("sqlite with one connection", func(t *testing.T) {
		t.Parallel()
		fn(t, []*store.Store{storetest.SQLite(t)})
	})
	t.Run("two postgres replicas", func(t *testing.T) {
		t.Parallel()
		cfg := storetest.PostgresConfig(t)
		fn(t, []*store.Store{storetest.Open(t, cfg), storetest.Open(t, cfg)})
	})
}

func TestRotateHasOneWinner(t *testing.T) {
	t.Parallel()
	eachWithReplicas(t, func(t *testing.T, stores []*store.Store) {
		s := stores[0]
		d, token := device(t, s, mustUser(t, s, "17", "jane"))
		for round := range 10 {
			r := make(chan store.Rotation, 8)
			for range cap(r) {
				r <- rotation(d, token)
			}
			wins := replicas(t, stores, func(s *store.Store) (bool, error) { return s.Rotate(t.Context(), <-r, noon()) })
			if wins != 1 {
				t.Fatalf("round %d: %d winners, want 1", round, wins)
			}
			row, _, err := s.RefreshToken(t.Context(), token)
			if err != nil || row.Used == 0 || row.SuccessorHash == "" || row.SealedAnswer == "" {
				t.Fatalf("row %+v, error %v", row, err)
			}
			d, token = device(t, s, mustUser(t, s, "17", "jane"))
		}
	})
}

func TestRotateRefusesARevokedDevice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d, token := device(t, s, mustUser(t, s, "17", "jane"))
		stranger := mustUser(t, s, "18", "joe")
		if ended, err := s.End(t.Context(), store.Ending{Scope: store.EndDevice, UserID: stranger.ID, ID: d.ID}, noon()); ended.Anything() || err != nil {
			t.Fatalf("a stranger revoked it: %v, %v", ended, err)
		}
		if ended, err := s.End(t.Context(), store.Ending{Scope: store.EndDevice, UserID: d.UserID, ID: d.ID}, noon()); !ended.Anything() || err != nil {
			t.Fatalf("ended %v, error %v", ended, err)
		}
		if won, err := s.Rotate(t.Context(), rotation(d, token), noon()); won || err != nil {
			t.Errorf("rotated %v, error %v", won, err)
		}
	})
}

func TestRedeemCodeHasOneWinner(t *testing.T) {
	t.Parallel()
	eachWithReplicas(t, func(t *testing.T, stores []*store.Store) {
		s := stores[0]
		u := mustUser(t, s, "17", "jane")
		for round := range 10 {
			code := secret.Hash("code" + strconv.Itoa(round))
			if err := s.CreateCode(t.Context(), &store.Code{Hash: code, UserID: u.ID, SignInID: session(t, s, u), Expires: store.At(noon().Add(time.Minute))}); err != nil {
				t.Fatal(err)
			}
			wins := replicas(t, stores, func(s *store.Store) (bool, error) {
				return s.RedeemCode(t.Context(), store.Redemption{
					CodeHash: code,
					Access:   store.AccessToken{Hash: secret.Hash(secret.Token().Reveal()), UserID: u.ID, SignInID: u.ID, Expires: store.At(noon().Add(time.Hour))},
				}, noon())
			})
			if wins != 1 {
				t.Fatalf("round %d: %d winners, want 1", round, wins)
			}
		}
	})
}

func TestRevokeCodeEndsWhatItIssued(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := mustUser(t, s, "17", "jane")
		d, _ := device(t, s, u)
		token := secret.Token().Reveal()
		if err := s.CreateAccessToken(t.Context(), &store.AccessToken{Hash: secret.Hash(token), UserID: u.ID, Expires: d.Expires}); err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeIssued(t.Context(), u.ID, d.ID, secret.Hash(token), noon()); err != nil {
			t.Fatal(err)
		}
		dead, err := s.Device(t.Context(), d.ID)
		if err != nil || dead.Active(noon()) || dead.Reason != store.RevokedCodeReplay {
			t.Errorf("device %+v, error %v", dead, err)
		}
		if row, err := s.AccessToken(t.Context(), token); err != nil || row.Active(noon()) {
			t.Errorf("access token %+v, error %v", row, err)
		}
	})
}

func TestLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		take := func(holder string, now time.Time) bool {
			t.Helper()
			held, err := s.AcquireLease(t.Context(), "keys", holder, now, now.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return held
		}
		if !take("a", noon()) || take("b", noon()) || !take("a", noon().Add(time.Second)) {
			t.Error("the first holder keeps the lease and renews it")
		}
		if !take("b", noon().Add(2*time.Minute)) || take("a", noon().Add(2*time.Minute)) {
			t.Error("an expired lease goes to the next")
		}
	})
}

func TestApplyFile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		file := store.Origin{Origin: store.OriginFile, OriginRef: "fairlead.yaml:3"}
		set := store.Settings{
			Connectors: []store.Connector{{ID: "corp", Type: "ldap", Config: `{"bindPW":"s3cret"}`, Origin: file}},
			Clusters:   []store.Cluster{{ID: "a", Name: "A", Audience: "k8s-a", Labels: store.Labels{"env": "dev"}, Origin: file}},
			LocalUsers: []store.LocalUser{{Login: "Jane", FileHash: "h1", Origin: file}, {Login: "bob", FileHash: "h1", Origin: file}},
		}
		if err := s.ApplyFile(t.Context(), set, noon()); err != nil {
			t.Fatal(err)
		}
		c, err := s.Connector(t.Context(), "corp")
		if err != nil {
			t.Fatal(err)
		}
		plain, err := s.ConnectorConfig(c)
		if err != nil || string(plain) != `{"bindPW":"s3cret"}` {
			t.Errorf("config %s, error %v", plain, err)
		}
		jane, err := s.AccountByLogin(t.Context(), "JANE")
		if err != nil || jane.PasswordHash != "h1" {
			t.Fatalf("account %+v, error %v", jane, err)
		}

		// A hash that was upgraded at a sign-in survives the same file, but not a new hash in it. A user who is no
		// longer in the file is disabled. The id stays.
		if err := s.RenewPasswordHash(t.Context(), jane.ID, "old", "older"); err != nil {
			t.Fatal(err)
		}
		if err := s.RenewPasswordHash(t.Context(), jane.ID, "h1", "renewed"); err != nil {
			t.Fatal(err)
		}
		again := store.Settings{LocalUsers: []store.LocalUser{{Login: "jane", FileHash: "h1", Origin: file}}}
		if err := s.ApplyFile(t.Context(), again, noon()); err != nil {
			t.Fatal(err)
		}
		kept, err := s.AccountByID(t.Context(), jane.ID)
		if err != nil || kept.PasswordHash != "renewed" || kept.Disabled {
			t.Errorf("account %+v, error %v", kept, err)
		}
		if bob, err := s.AccountByLogin(t.Context(), "bob"); err != nil || !bob.Disabled {
			t.Errorf("account %+v, error %v", bob, err)
		}
		if _, err := s.Connector(t.Context(), "corp"); !errs.Is(err, errs.NotFound) {
			t.Errorf("the connector must be gone: %v", err)
		}
		again.LocalUsers[0].FileHash = "h2"
		if err := s.ApplyFile(t.Context(), again, noon()); err != nil {
			t.Fatal(err)
		}
		if a, err := s.AccountByID(t.Context(), jane.ID); err != nil || a.PasswordHash != "h2" {
			t.Errorf("account %+v, error %v", a, err)
		}

		if _, err := s.CreateLocalUser(t.Context(), store.LocalUser{Login: "carol", Origin: store.Origin{Origin: store.OriginPage}}, noon()); err != nil {
			t.Fatal(err)
		}
		taken := store.Settings{LocalUsers: []store.LocalUser{{Login: "Carol", Origin: file}}}
		if err := s.ApplyFile(t.Context(), taken, noon()); !errs.Is(err, errs.Conflict) {
			t.Errorf("error %v, want a conflict", err)
		}
	})
}

func TestSweepDeletesOnlyWhatExpired(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := mustUser(t, s, "17", "jane")
		old, fresh := secret.Token().Reveal(), secret.Token().Reveal()
		for token, expires := range map[string]time.Time{old: noon(), fresh: noon().Add(time.Hour)} {
			if err := s.CreateAccessToken(t.Context(), &store.AccessToken{Hash: secret.Hash(token), UserID: u.ID, Expires: store.At(expires)}); err != nil {
				t.Fatal(err)
			}
		}
		if more, err := s.Sweep(t.Context(), noon().Add(time.Minute)); more || err != nil {
			t.Fatalf("more %v, error %v", more, err)
		}
		if _, err := s.AccessToken(t.Context(), old); !errs.Is(err, errs.NotFound) {
			t.Errorf("expired token: %v", err)
		}
		if _, err := s.AccessToken(t.Context(), fresh); err != nil {
			t.Errorf("live token: %v", err)
		}
	})
}

func TestAuditEventsAreKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		e := audit.Event{Name: audit.TokenReplayed, Time: noon(), UserID: "usr_1", Reason: "x"}
		if err := s.WriteEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		rows, err := s.AuditEvents(t.Context(), audit.TokenReplayed, 10)
		if err != nil || len(rows) != 1 || rows[0].UserID != "usr_1" {
			t.Errorf("rows %+v, error %v", rows, err)
		}
	})
}

func TestTheDatabaseFileIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLiteConfig(t)
	mustUser(t, storetest.Open(t, cfg), "17", "jane")
	files, err := filepath.Glob(cfg.DSN.Reveal() + "*")
	if err != nil || len(files) < 2 { // the log is beside it
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, error %v", file, info.Mode(), err)
		}
	}
	cfg.DSN = secret.NewValue("/nowhere/at/all/fairlead.db")
	if _, err := store.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("error %v must name the file", err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLiteConfig(t)
	s := storetest.Open(t, cfg)
	if err := s.SetSchemaVersion(t.Context(), 9999); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), cfg); !errors.Is(err, migrations.ErrNewer) {
		t.Errorf("error %v, want ErrNewer", err)
	}
}

// TestOddValuesAreNoOutage asks with values that PostgreSQL refuses: the request is at fault, not the database.
func TestOddValuesAreNoOutage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, value := range []string{"nul\x00", "\xff\xfe", strings.Repeat("x", 100_000)} {
			for name, ask := range map[string]func() error{
				"account": func() error { _, err := s.AccountByLogin(t.Context(), value); return err },
				"user":    func() error { _, err := s.UserByName(t.Context(), value); return err },
				"client":  func() error { _, err := s.Client(t.Context(), value); return err },
			} {
				if err := ask(); !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) {
					t.Errorf("%s %.10q: %v", name, value, err)
				}
			}
		}
	})
}
