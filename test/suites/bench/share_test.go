package bench_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// databaseShare measures the statements of one refresh alone, by the processor
// time of this process: the reads, the rotation, and the audit event.
func databaseShare(t *testing.T) map[string]time.Duration {
	t.Helper()
	shares := map[string]time.Duration{}
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		dsn := filepath.Join(t.TempDir(), "db")
		if database == "PostgreSQL" {
			dsn = storetest.PostgresConfig(t).DSN.Reveal()
		}
		cfg, err := config(database, dsn)
		if err != nil {
			t.Fatal(err)
		}
		shares[database] = shareOf(t, storetest.Open(t, cfg))
	}
	return shares
}

func shareOf(t *testing.T, s *store.Store) time.Duration {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	if err := s.ApplyFile(ctx, store.Settings{Clients: []store.Client{{ID: "bench", Origin: store.Origin{Origin: store.OriginFile}}}}, now); err != nil {
		t.Fatal(err)
	}
	u, _, err := s.SignInUser(ctx, store.ResolvedIdentity{ConnectorID: "local", KubeName: "local:x", Identity: connectors.Identity{Subject: "1", Groups: []string{"a", "b"}}}, now)
	if err != nil {
		t.Fatal(err)
	}
	end := store.At(now.Add(time.Hour))
	d := &store.Device{ID: secret.ID("dev"), UserID: u.ID, ClientID: "bench", IdleExpires: end, Expires: end}
	token := secret.Token().Reveal()
	if err := s.CreateCode(ctx, &store.Code{Hash: "code", UserID: u.ID, Expires: end}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RedeemCode(ctx, store.Redemption{
		CodeHash: "code", Device: d, Refresh: &store.RefreshToken{Hash: secret.Hash(token), DeviceID: d.ID, Expires: end},
		Access: store.AccessToken{Hash: secret.ID("a"), UserID: u.ID, Expires: end},
	}, now); err != nil {
		t.Fatal(err)
	}
	refresh := func() {
		next := secret.Token().Reveal()
		if _, err := s.ClusterByAudience(ctx, "bench"); err == nil {
			t.Fatal("a cluster of that name")
		}
		if _, err := s.Client(ctx, "bench"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RefreshTokenDetails(ctx, token); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Rotate(ctx, store.Rotation{
			Presented: secret.Hash(token), SealedAnswer: strings.Repeat("x", 2000), IdleExpires: end,
			Successor: store.RefreshToken{Hash: secret.Hash(next), DeviceID: d.ID, Expires: end},
			Access:    store.AccessToken{Hash: secret.ID("a"), UserID: u.ID, DeviceID: d.ID, Expires: end},
			Event:     audit.Event{Name: audit.TokenIssued, Time: now},
		}, now); err != nil {
			t.Fatal(err)
		}
		token = next
	}
	return spent(t, refresh)
}

func spent(t *testing.T, do func()) time.Duration {
	t.Helper()
	const n = 300
	for range 20 {
		do()
	}
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		t.Fatal(err)
	}
	for range n {
		do()
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		t.Fatal(err)
	}
	return time.Duration((after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()) / n)
}
