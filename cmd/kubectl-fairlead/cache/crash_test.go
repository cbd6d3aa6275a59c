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

// crashVariable makes this program one that writes, and kills itself at a step.
const crashVariable = "FAIRLEAD_TEST_CRASH_AT"

func TestMain(m *testing.M) {
	if at := os.Getenv(crashVariable); at != "" {
		n, err := strconv.Atoi(at)
		if err == nil {
			err = writeAll(os.Getenv("FAIRLEAD_TEST_CRASH_DIR"), n)
		}
		fmt.Println("not killed:", err)
		return
	}
	os.Exit(m.Run())
}

func reopen(dir string) (*cache.Cache, error) {
	return cache.New(dir, cache.Account{Server: "https://a.test"}, false)
}

// writeAll does what a refresh does, and is killed at the given step.
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
				err = self.Kill() // as kill -9 does
			}
			time.Sleep(time.Minute)
			fmt.Println("still alive:", err)
		}
	})
	if _, locked, err := c.Lock(context.Background()); err != nil || !locked {
		return fmt.Errorf("no lock: %w", err)
	}
	if err := c.SaveSession(session("new")); err != nil {
		return err
	}
	if err := c.SaveToken("prod", cache.Token{Token: "new", Expires: time.Now().Add(time.Hour)}); err != nil {
		return err
	}
	if err := c.SaveAttempt(cache.Attempt{Began: time.Now()}); err != nil {
		return err
	}
	return c.SaveContexts(cache.Contexts{Known: []string{"new"}})
}

func session(which string) *cache.Session {
	return &cache.Session{User: which, AccessToken: secret.NewValue("access-" + which), RefreshToken: secret.NewValue("refresh-" + which), AccessExpires: time.Now().Add(time.Hour)}
}

// TestKilledAtEveryStep kills a writer at each step of each of its writes: what is read
// afterwards is the old or the new, whole; nobody waits for its lock; and the next writes.
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
		if err == nil { // it came to its end: there are no more steps
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

// TestWhatIsLeftIsTidied: what killed writers leave goes when it is old.
func TestWhatIsLeftIsTidied(t *testing.T) {
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
	old, young := names[0][:len(names[0])-5]+".1.part", names[0][:len(names[0])-5]+".2.part"
	for _, file := range []string{old, young} {
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
		t.Error("what is old is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what is just being written is gone")
	}
}
