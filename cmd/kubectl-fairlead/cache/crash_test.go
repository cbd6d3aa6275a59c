package cache_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// crashVariable makes the test binary write to a cache and kill itself at a step.
const crashVariable = "FAIRLEAD_TEST_CRASH_AT"

func TestMain(m *testing.M) {
	if at := os.Getenv(crashVariable); at != "" {
		n, err := strconv.Atoi(at)
		if err == nil {
			err = writeAll(os.Getenv("FAIRLEAD_TEST_CRASH_DIR"), n)
		}
		fmt.Println("the process was not killed:", err)
		return
	}
	os.Exit(m.Run())
}

func reopen(dir string) (*cache.Cache, error) {
	return cache.New(dir, cache.Account{Server: "https://a.test"}, false)
}

// writeAll writes every kind of file, as a refresh does, and kills the process at a step.
func writeAll(dir string, at int) error {
	c, err := reopen(dir)
	if err != nil {
		return err
	}
	steps := 0
	c.OnStep(func(string) {
		if steps++; steps == at {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill() // as kill -9
			}
			time.Sleep(time.Minute)
			fmt.Println("the process is still running:", err)
		}
	})
	if _, locked, err := c.Lock(context.Background()); err != nil || !locked {
		return fmt.Errorf("the session is locked: %w", err)
	}
	if err := c.SaveSession(session("new")); err != nil {
		return err
	}
	if err := c.SaveToken("prod", cache.Token{Token: "new", Expires: time.Now().Add(time.Hour)}); err != nil {
		return err
	}
	if err := c.SaveAttempt(cache.Attempt{Started: time.Now()}); err != nil {
		return err
	}
	return c.SaveKubeconfigs(cache.Kubeconfigs{Clusters: []string{"new"}})
}

func session(which string) *cache.Session {
	return &cache.Session{User: which, AccessToken: secret.NewValue("access-" + which), RefreshToken: secret.NewValue("refresh-" + which), AccessExpires: time.Now().Add(time.Hour)}
}

// TestKilledAtEveryStep kills a process at each step of each of its writes. Afterwards each
// file has its complete old or new content, the lock is free, and the next write succeeds.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		dir := filepath.Join(t.TempDir(), "fairlead")
		c, err := reopen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SaveSession(session("old")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashVariable+"="+strconv.Itoa(at), "FAIRLEAD_TEST_CRASH_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err == nil { // it ended by itself: there are no more steps
			if at != 17 {
				t.Errorf("%d steps: %s", at-1, out)
			}
			break
		}
		s := c.Session()
		if s == nil || s.RefreshToken.Reveal() != "refresh-"+s.User || s.AccessToken.Reveal() != "access-"+s.User || (s.User == "new") != (at >= 4) {
			t.Fatalf("killed at step %d: %+v", at, s)
		}
		if token, ok := c.Token("prod", time.Now(), time.Minute); ok != (at >= 8) || ok && token.Token != "new" {
			t.Errorf("killed at step %d: token %v", at, ok)
		}
		wait, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		unlock, locked, err := c.Lock(wait)
		cancel()
		if err != nil || !locked {
			t.Fatalf("killed at step %d: the lock is not free: %v", at, err)
		}
		unlock()
		if err := c.SaveSession(session("next")); err != nil || c.Session().User != "next" {
			t.Errorf("killed at step %d: %v", at, err)
		}
	}
}

// TestStalePartsAreRemoved has an old and a new temporary file of killed processes.
func TestStalePartsAreRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "fairlead")
	c, err := reopen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SaveSession(session("old")); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(dir + "/*.session.json")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	old, recent := names[0][:len(names[0])-5]+".1.part", names[0][:len(names[0])-5]+".2.part"
	for _, file := range []string{old, recent} {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveSession(session("new")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old temporary file must be removed")
	}
	if _, err := os.Stat(recent); err != nil {
		t.Error("the new temporary file must stay")
	}
}
