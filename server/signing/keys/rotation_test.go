package keys_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

func keyInState(t *testing.T, m *keys.Manager, state store.KeyState) keys.Info {
	t.Helper()
	all, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.State == state && k.Algorithm == "RS256" {
			return k
		}
	}
	return keys.Info{}
}

func TestRotationByHandWaitsForEverybody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		m, other := newManager(t, s, c), newManager(t, s, c)
		maintain(t, m)
		next := keyInState(t, m, store.KeyNext)

		// 1. Verifiers may still hold a set without the next key.
		c.at = c.at.Add(10*time.Minute + 59*time.Second)
		err := m.RotateNow(t.Context(), keys.RS256)
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "12:11:00") {
			t.Fatalf("too early: %v", err)
		}

		// 2. A second later every verifier has it.
		c.at = c.at.Add(time.Second)
		if err := m.RotateNow(t.Context(), keys.RS256); err != nil {
			t.Fatal(err)
		}
		maintain(t, other)
		if _, kid := sign(t, other); kid != next.ID {
			t.Errorf("%s signs, want %s", kid, next.ID)
		}
		if set := published(t, other); len(set.Keys) != 5 {
			t.Errorf("%d keys, want the retired one as well", len(set.Keys))
		}
		if old := keyInState(t, m, store.KeyRetired); !old.PublishedUntil.Equal(c.at.Add(70 * time.Minute)) {
			t.Errorf("leaves %v", old.PublishedUntil)
		}
	})
}

func TestAnEmergency(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		m := newManager(t, s, c)
		maintain(t, m)
		file := store.Origin{Origin: store.OriginFile}
		if err := s.ApplyFile(t.Context(), store.Settings{
			Clusters: []store.Cluster{{ID: "rsa", Audience: "a", Algorithm: "RS256", Origin: file}, {ID: "ec", Audience: "b", Algorithm: "ES256", Origin: file}},
			Clients:  []store.Client{{ID: "app", Origin: file}},
		}, c.at); err != nil {
			t.Fatal(err)
		}
		token, kid := sign(t, m)

		// 1. The preview says who is affected and for how long, and changes nothing.
		got, err := m.RevocationImpact(t.Context(), kid)
		if err != nil || !got.SuccessorTooNew || len(got.Clusters) != 1 || got.Clusters[0] != "rsa" || len(got.Clients) != 1 || !got.RefusedUntil.Equal(c.at.Add(10*time.Minute)) {
			t.Fatalf("consequences %+v, error %v", got, err)
		}
		if _, now := sign(t, m); now != kid {
			t.Error("asking changed something")
		}

		// 2. The key leaves the key set at once and another one signs.
		if err := m.Revoke(t.Context(), kid, "leaked"); err != nil {
			t.Fatal(err)
		}
		if _, now := sign(t, m); now == kid {
			t.Error("the revoked key still signs")
		}
		if len(published(t, m).Key(kid)) != 0 {
			t.Error("the revoked key is still published")
		}
		if _, err := m.Verify(token); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("a token of the revoked key: %v", err)
		}
		if keyInState(t, m, store.KeyNext).ID == "" {
			t.Error("there is no next key")
		}
		events, err := s.AuditEvents(t.Context(), audit.KeyRevoked, 10)
		if err != nil || len(events) != 1 || events[0].Reason != "leaked" || !strings.Contains(events[0].Detail, kid) {
			t.Errorf("events %+v, error %v", events, err)
		}
		if _, err := m.RevocationImpact(t.Context(), kid); !errs.Is(err, errs.NotFound) {
			t.Errorf("revoking twice: %v", err)
		}
		// 3. The key is deleted when its last token has expired.
		c.at = c.at.Add(2 * time.Hour)
		maintain(t, m)
		if gone := keyInState(t, m, store.KeyRevoked); gone.ID != "" {
			t.Errorf("still stored: %+v", gone)
		}
	})
}

// TestReplicasTendAtOnce lets replicas and an operator change keys at the same time. In the end one key of each
// algorithm signs, and one is next.
func TestReplicasTendAtOnce(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	var managers []*keys.Manager
	for range 3 {
		managers = append(managers, newManager(t, storetest.Open(t, cfg), c))
	}
	for range 5 {
		var wg sync.WaitGroup
		for i, m := range managers {
			wg.Go(func() {
				if err := m.Maintain(t.Context()); err != nil {
					t.Error(err)
				}
				if i == 0 { // both results are right: it may be too early, or another replica may hold the lease
					_ = m.RotateNow(t.Context(), keys.RS256)
				}
			})
		}
		wg.Wait()
		c.at = c.at.Add(30 * time.Hour)
	}
	all, err := managers[0].List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, k := range all {
		states[k.Algorithm+" "+string(k.State)]++
	}
	for _, alg := range []string{"RS256", "ES256"} {
		if states[alg+" active"] != 1 || states[alg+" next"] != 1 {
			t.Errorf("states %v", states)
		}
	}
}

// TestRevokingAKeyThatTakesOver revokes the next key, which another replica activates after the command has read it.
func TestRevokingAKeyThatTakesOver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		m := newManager(t, s, c)
		maintain(t, m)
		stolen := keyInState(t, m, store.KeyNext)
		c.then = func() {
			if err := s.ActivateKey(t.Context(), &store.SigningKey{ID: stolen.ID, Algorithm: stolen.Algorithm}, c.at); err != nil {
				t.Error(err)
			}
		}
		if err := m.Revoke(t.Context(), stolen.ID, "stolen"); err != nil {
			t.Fatal(err)
		}
		maintain(t, m)
		if _, kid := sign(t, m); kid == stolen.ID {
			t.Error("the revoked key signs")
		}
		if revoked := keyInState(t, m, store.KeyRevoked); revoked.ID != stolen.ID {
			t.Errorf("revoked %+v, want %s", revoked, stolen.ID)
		}
	})
}
