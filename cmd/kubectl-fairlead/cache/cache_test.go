package cache_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

func open(t *testing.T, dir, server string) *cache.Cache {
	t.Helper()
	c, err := cache.New(dir, cache.Account{Server: server}, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSessionsAndTokens(t *testing.T) {
	t.Parallel()
	dir, now := filepath.Join(t.TempDir(), "fairlead"), time.Now().Round(0).UTC()
	c, other := open(t, dir, "https://a.test"), open(t, dir, "https://b.test")
	if c.Session() != nil {
		t.Error("a new cache must have no session")
	}
	want := &cache.Session{
		User: "corp:jane", AccessToken: secret.NewValue("at"), AccessExpires: now, RefreshToken: secret.NewValue("rt"),
		SignInEnds: now.Add(time.Hour), CA: "PEM", Clusters: []apitypes.Cluster{{ID: "x", Audience: "k8s-x"}},
	}
	if err := c.SaveSession(want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Session(), cmp.AllowUnexported(secret.Value{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if other.Session() != nil {
		t.Error("two servers must not share a session")
	}
	if err := c.SaveToken("x", cache.Token{Token: "jwt", Expires: now.Add(5 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Token("x", now, time.Minute); !ok || got.Token != "jwt" {
		t.Errorf("token %+v, %v", got, ok)
	}
	if _, ok := c.Token("x", now.Add(4*time.Minute), time.Minute); ok {
		t.Error("a token that expires within a minute must not be used")
	}
	if _, ok := c.Token("y", now, 0); ok {
		t.Error("there must be no token for another cluster")
	}
	if accounts, err := cache.Accounts(dir); err != nil || !cmp.Equal(accounts, []cache.Account{{Server: "https://a.test"}}) {
		t.Errorf("accounts %v, error %v", accounts, err)
	}

	// Only the owner may read the files.
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, dir) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
		if strings.HasSuffix(file, ".part") {
			t.Errorf("%s is a left-over temporary file", file)
		}
	}
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Token("x", now, 0); ok || c.Session() != nil {
		t.Error("Clear must remove the session and the tokens")
	}
}

func TestUnreadableSessionCountsAsNone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "fairlead")
	c := open(t, dir, "https://a.test")
	if err := c.SaveSession(&cache.Session{User: "x"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.session.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, content := range []string{"", "{", `{"server":"https://other.test"}`, "\x00\x00"} {
		if err := os.WriteFile(files[0], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.Session() != nil {
			t.Errorf("the file %q must count as no session", content)
		}
	}
}

func TestLockAndAttempt(t *testing.T) {
	t.Parallel()
	dir, now := filepath.Join(t.TempDir(), "fairlead"), time.Now()
	a, b := open(t, dir, "https://a.test"), open(t, dir, "https://a.test")
	unlock, locked, err := a.Lock(t.Context())
	if err != nil || !locked {
		t.Fatalf("locked %v, error %v", locked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, locked, err := b.Lock(ctx); locked || err != nil {
		t.Errorf("locked %v, error %v", locked, err)
	}
	unlock()
	unlock, locked, err = b.Lock(t.Context())
	if err != nil || !locked {
		t.Fatalf("locked %v, error %v", locked, err)
	}
	unlock()

	if err := a.SaveAttempt(cache.Attempt{Started: now, Failure: "closed"}); err != nil {
		t.Fatal(err)
	}
	if got, recent := b.Attempt(now.Add(9*time.Minute), 10*time.Minute); !recent || got.Failure != "closed" {
		t.Errorf("attempt %+v, %v", got, recent)
	}
	if _, recent := b.Attempt(now.Add(10*time.Minute), 10*time.Minute); recent {
		t.Error("an attempt older than maxAge must not count")
	}
	b.ClearAttempt()
	if _, recent := a.Attempt(now, 10*time.Minute); recent {
		t.Error("ClearAttempt must remove the attempt")
	}
}
