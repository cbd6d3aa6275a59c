package keys_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// clock is a clock that runs a function at the next look.
type clock struct {
	at   time.Time
	then func()
}

func (c *clock) now() time.Time {
	if then := c.then; then != nil {
		c.then = nil
		then()
	}
	return c.at
}

func newManager(t *testing.T, s *store.Store, c *clock) *keys.Manager {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	m, err := keys.New(t.Context(), keys.Config{
		Store: s, Now: c.now, Logger: logger, Audit: audit.NewLog(c.now, logger, s), RotateEvery: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func maintain(t *testing.T, m *keys.Manager) {
	t.Helper()
	if err := m.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func published(t *testing.T, m *keys.Manager) *jose.JSONWebKeySet {
	t.Helper()
	body, etag := m.KeySet()
	if etag == "" {
		t.Error("no entity tag")
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	return &set
}

func sign(t *testing.T, m *keys.Manager) (token, kid string) {
	t.Helper()
	token, err := m.Sign(keys.RS256, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(token, keys.Algorithms())
	if err != nil {
		t.Fatal(err)
	}
	return token, parsed.Signatures[0].Header.KeyID
}

func TestALifeOfKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}

		// 1. Nothing signs before the first keys are there.
		m := newManager(t, s, c)
		if m.Ready() {
			t.Error("ready without keys")
		}
		if _, err := m.Sign(keys.RS256, nil); !errors.Is(err, keys.ErrNotReady) {
			t.Errorf("Sign = %v, want ErrNotReady", err)
		}
		maintain(t, m)
		if !m.Ready() {
			t.Fatal("not ready")
		}

		// 2. Each algorithm has a key that signs and the next one, published.
		set := published(t, m)
		if len(set.Keys) != 4 {
			t.Fatalf("%d keys published, want 4", len(set.Keys))
		}
		for _, k := range set.Keys {
			if !k.IsPublic() || !k.Valid() || k.KeyID == "" || k.Use != "sig" {
				t.Errorf("bad public key %+v", k)
			}
		}
		old, oldKid := sign(t, m)

		// 3. Another replica signs with the same key and verifies.
		other := newManager(t, s, c)
		if _, kid := sign(t, other); kid != oldKid {
			t.Errorf("replicas sign with %s and %s", kid, oldKid)
		}

		// 4. At its age the key hands over to one that was published before.
		c.at = c.at.Add(25 * time.Hour)
		before := published(t, m)
		maintain(t, m)
		_, newKid := sign(t, m)
		if newKid == oldKid || len(before.Key(newKid)) != 1 {
			t.Errorf("key %s signs; it must be new and published before", newKid)
		}
		if _, err := m.Verify(old); err != nil {
			t.Errorf("a token of the retired key must verify: %v", err)
		}

		// 5. The retired key goes when its last token is gone.
		c.at = c.at.Add(2 * time.Hour)
		maintain(t, m)
		if len(published(t, m).Key(oldKid)) != 0 {
			t.Error("the retired key is still published")
		}
		if _, err := m.Verify(old); err != nil {
			t.Errorf("an old ID token must be recognized as a hint: %v", err)
		}

		// 6. It recognizes hints for as long as a session may last, and goes then.
		c.at = c.at.Add(90 * 24 * time.Hour)
		maintain(t, m)
		if _, err := m.Verify(old); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("Verify = %v, want ErrSignature", err)
		}
	})
}

func TestPrivateKeysAreSealed(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	m := newManager(t, s, &clock{at: time.Now()})
	maintain(t, m)
	rows, err := s.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		private, err := s.OpenKey(&row)
		if err != nil {
			t.Fatal(err)
		}
		// A piece of the secret half, in each form that it could be stored in.
		piece := private[len(private)-24:]
		for _, clear := range []string{string(piece), base64.StdEncoding.EncodeToString(piece), base64.RawURLEncoding.EncodeToString(piece), hex.EncodeToString(piece)} {
			if strings.Contains(row.Private, clear) || strings.Contains(row.Public, `"d"`) {
				t.Errorf("key %s is stored in clear", row.ID)
			}
		}
	}
}

func TestVerifyRefusesForeignTokens(t *testing.T) {
	t.Parallel()
	m := newManager(t, storetest.SQLite(t), &clock{at: time.Now()})
	maintain(t, m)
	good, _ := sign(t, m)
	parts := strings.Split(good, ".")
	for name, bad := range map[string]string{
		"empty":        "",
		"no signature": parts[0] + "." + parts[1] + ".",
		"changed":      parts[0] + ".eyJhIjoyfQ." + parts[2],
		"alg none":     "eyJhbGciOiJub25lIn0." + parts[1] + ".",
	} {
		if _, err := m.Verify(bad); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", name, err)
		}
	}
}
