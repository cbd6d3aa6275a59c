package drills_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/postgres"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// TestPoolOfOne lets a hundred devices refresh at once on a server with a single
// connection to its database.
func TestPoolOfOne(t *testing.T) { //nolint:paralleltest // each drill wants the machine for itself
	for name, database := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string {
			t.Helper()
			return fmt.Sprintf("{driver: sqlite, path: %s/db, maxConnections: 1}", t.TempDir())
		},
		"postgres": func(t *testing.T) string {
			t.Helper()
			return fmt.Sprintf("{driver: postgres, url: %s, maxConnections: 1}", quoted(storetest.PostgresConfig(t).DSN.Reveal()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoad(t, startNodes(t, 1, database(t), extras{}), 100)
			wait(2*time.Second, time.Minute)
			l.everybodyWorks(t, "pool of one")
			l.stop(t)
			if l.result.get("no answer")+l.result.get("unavailable") > 0 {
				t.Errorf("%s", l.result)
			}
		})
	}
}

// TestKilledReplica ends replicas in the middle of refreshes. A client that got no
// answer asks another one with the same token.
func TestKilledReplica(t *testing.T) { //nolint:paralleltest // see above
	bin := prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs")
	nodes := startNodes(t, 3, fmt.Sprintf("{driver: postgres, url: %s}", quoted(storetest.PostgresConfig(t).DSN.Reveal())), extras{})
	l := startLoad(t, nodes, 20)
	rounds := 3
	if *long {
		rounds = 30
	}
	for i := range rounds {
		victim := nodes[i%len(nodes)]
		time.Sleep(300 * time.Millisecond)
		victim.kill()
		l.everybodyWorks(t, "a replica is dead")
		victim.start(bin)
	}
	l.everybodyWorks(t, "all replicas are back")
	l.stop(t)
	if l.result.get("no answer") == 0 {
		t.Error("nobody noticed: the drill killed nothing that was in use")
	}
}

// TestDatabaseOutage stops PostgreSQL under load. The published keys stay, token
// requests get 503 with Retry-After, and everything goes on by itself.
func TestDatabaseOutage(t *testing.T) { //nolint:paralleltest // see above
	pg := postgres.Start(t)
	nodes := startNodes(t, 2, fmt.Sprintf("{driver: postgres, url: %s}", quoted(pg.URL)), extras{})
	l := startLoad(t, nodes, 20)
	l.everybodyWorks(t, "before")

	// 1. A restart.
	pg.Stop()
	pg.Resume()
	l.everybodyWorks(t, "after a restart")

	// 2. An outage.
	pg.Stop()
	over := time.Now().Add(4 * time.Second)
	if *long {
		over = time.Now().Add(30 * time.Second)
	}
	for time.Now().Before(over) {
		for _, n := range nodes {
			for _, path := range []string{"/keys", "/.well-known/openid-configuration"} {
				if got := status(n.address + path); got != http.StatusOK {
					t.Errorf("%s%s answers %d without a database", n.address, path, got)
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	if l.result.get("unavailable") == 0 {
		t.Errorf("nobody was told to come back later: %s", l.result)
	}
	pg.Resume()
	l.everybodyWorks(t, "after an outage")
	l.stop(t)
}

// TestDatabaseHangs lets PostgreSQL take connections and answer nothing. No request waits for ever, and
// everything recovers by itself.
func TestDatabaseHangs(t *testing.T) { //nolint:paralleltest // see above
	pg := postgres.Start(t)
	nodes := startNodes(t, 1, fmt.Sprintf("{driver: postgres, url: %s}", quoted(pg.URL)), extras{})
	l := startLoad(t, nodes, 20)
	l.everybodyWorks(t, "before")
	pg.Hang(true)
	for range 10 {
		if got := status(nodes[0].address + "/keys"); got != http.StatusOK {
			t.Errorf("the keys answer %d", got)
		}
		wait(100*time.Millisecond, 6*time.Second)
	}
	if *long && l.result.get("unavailable") < len(l.sessions) {
		t.Errorf("after a minute somebody still waits: %s", l.result)
	}
	pg.Hang(false)
	l.everybodyWorks(t, "after it")
	l.stop(t)
}

// disk is a folder that can be full.
type disk struct {
	dir string
	// fill makes the server's next write fail, free lets it write again.
	fill, free func(t *testing.T, n *node)
}

// smallDisk is a disk of its own that is filled to the last page. Without the right to mount one, a limit on the
// size of files refuses the server's writes as a full disk does.
func smallDisk(t *testing.T) disk {
	t.Helper()
	d := disk{dir: t.TempDir()}
	if out, err := output("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", d.dir); err != nil {
		t.Logf("no disk of its own: %s", strings.TrimSpace(out))
		limit := func(size string) func(*testing.T, *node) {
			return func(t *testing.T, n *node) {
				t.Helper()
				if out, err := output("prlimit", "--pid", strconv.Itoa(n.cmd.Process.Pid), "--fsize="+size+":unlimited"); err != nil {
					t.Fatalf("prlimit: %v: %s", err, out)
				}
			}
		}
		d.fill, d.free = limit("4096"), limit("unlimited")
		return d
	}
	t.Cleanup(func() { _, _ = output("umount", "-l", d.dir) })
	filler := filepath.Join(d.dir, "filler")
	d.fill = func(t *testing.T, _ *node) {
		t.Helper()
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := f.Write(make([]byte, 4096)); err != nil {
				break
			}
		}
		_ = f.Close()
	}
	d.free = func(t *testing.T, _ *node) {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestDiskFull fills the disk under SQLite. Nothing that was stored is lost, and
// everything goes on when there is room again.
func TestDiskFull(t *testing.T) { //nolint:paralleltest // see above
	d := smallDisk(t)
	nodes := startNodes(t, 1, fmt.Sprintf("{driver: sqlite, path: %s/db}", d.dir), extras{})
	l := startLoad(t, nodes, 10)
	l.everybodyWorks(t, "before")
	d.fill(t, nodes[0])
	deadline := time.Now().Add(30 * time.Second)
	for l.result.get("unavailable") == 0 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if l.result.get("unavailable") == 0 {
		t.Fatalf("nobody noticed that the disk is full: %s", l.result)
	}
	wait(time.Second, 20*time.Second)
	if got := status(nodes[0].address + "/keys"); got != http.StatusOK {
		t.Errorf("the keys are gone: %d", got)
	}
	d.free(t, nodes[0])
	l.everybodyWorks(t, "with room again")
	l.stop(t)
}

// TestClocksDiffer lets three replicas disagree about the time, while every
// request of a flow goes to another one.
func TestClocksDiffer(t *testing.T) { //nolint:paralleltest // see above
	offsets := []time.Duration{0, 5 * time.Second, -5 * time.Second}
	r := startReplicas(t, storetest.PostgresConfig(t), how{count: 3, now: func(i int) func() time.Time {
		return func() time.Time { return time.Now().Add(offsets[i]) }
	}})
	checks := r.verifiers(t)
	rounds := 4
	if *long {
		rounds = 100
	}
	var wg sync.WaitGroup
	for user := range 4 {
		wg.Go(func() {
			c := r.plugin()
			for range rounds {
				tokens := c.SignIn(t, relyingparty.NewBrowser(t, r.issuer, r.transport), relyingparty.Credentials{Connector: "Corp", Username: fmt.Sprint("user", user), Password: "right"})
				for range 5 {
					next := c.Refresh(t, tokens.RefreshToken)
					again := c.Refresh(t, tokens.RefreshToken) // a lost answer, at another replica
					if next.Error != "" || again.Raw != next.Raw {
						t.Errorf("refresh %s, repeated %s", next.Raw, again.Raw)
						return
					}
					got := c.Exchange(t, next.AccessToken, "k8s-a")
					for _, v := range checks {
						if err := v.check(t.Context(), got.AccessToken); err != nil {
							t.Errorf("%s: %v", v.name, err)
						}
					}
					tokens = next
				}
			}
		})
	}
	wg.Wait()
}
