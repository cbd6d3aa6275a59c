package drills_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// node is one running server: the built program.
type node struct {
	t       *testing.T
	address string
	file    string
	mu      sync.Mutex
	cmd     *exec.Cmd
	log     *os.File
}

// extras are what a drill adds to the configuration, as YAML.
type extras struct {
	settings, connectors string
	// window is how long wrong passwords count; zero means the default.
	window time.Duration
}

const drillPassword = "drill-password"

// startNodes runs servers on one database. All say that they are the first one's
// issuer.
func startNodes(t *testing.T, count int, database string, extra extras) []*node {
	t.Helper()
	bin := prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs")
	dir := t.TempDir()
	hash, err := password.NewHasher().Hash(t.Context(), drillPassword)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	users := ""
	for i := range 20 {
		users += fmt.Sprintf("- {login: user%d, groups: [dev], passwordHash: \"file:%s/hash\"}\n", i, dir)
	}
	write("hash", hash)
	write("key", base64.StdEncoding.EncodeToString(secret.NewKey()))
	var nodes []*node
	issuer := ""
	for i := range count {
		address, err := ports.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		if issuer == "" {
			issuer = "http://" + address
		}
		nodes = append(nodes, &node{t: t, address: "http://" + address, file: write(fmt.Sprint("node", i, ".yaml"), fmt.Sprintf(`url: %s
listen: %s
database: %s
dataKeys: ["file:%s/key"]
limits: {requestsPerSecond: 100000, passwordWindow: %s}
%s
connectors:
- {id: local, type: local, name: Local users}
%slocalUsers:
%sclusters:
- {id: a, mode: direct, server: "https://a.test"}
rules:
- {id: dev, who: {groups: ["local:dev"]}, clusters: {ids: [a]}}
`, issuer, address, database, dir, cmp.Or(extra.window, 15*time.Minute), extra.settings, extra.connectors, users))})
	}
	for _, n := range nodes {
		n.start(bin)
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			n.kill()
		}
	})
	return nodes
}

// start runs the program and waits until it signs.
func (n *node) start(bin string) {
	n.t.Helper()
	log, err := os.CreateTemp(n.t.TempDir(), "log")
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(bin+"/fairlead", "serve", "--config", n.file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.cmd, n.log = cmd, log
	n.mu.Unlock()
	for range 400 {
		if status(n.address+"/keys") == http.StatusOK {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	n.t.Fatalf("the server does not get ready:\n%s", tailOf(text))
}

func tailOf(text []byte) []byte { return text[max(0, len(text)-4000):] }

// kill ends the program as a crash does.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		n.cmd = nil
	}
	if n.t.Failed() && n.log != nil {
		text, _ := os.ReadFile(n.log.Name())
		n.t.Logf("%s:\n%s", n.address, tailOf(text))
	}
}

func status(address string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// session is a device that refreshes, as a careful client does: what it could not
// do it tries again, with the same token, somewhere.
type session struct {
	token string
	good  atomic.Int64
	lost  atomic.Bool
}

func signInAt(t *testing.T, n *node, user int) *session {
	t.Helper()
	return signInAs(t, n, relyingparty.Credentials{Connector: "Local users", Username: fmt.Sprint("user", user), Password: drillPassword})
}

func signInAs(t *testing.T, n *node, as relyingparty.Credentials) *session {
	t.Helper()
	c := &relyingparty.Client{Issuer: n.address, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback", Scope: "openid offline_access"}
	tokens := c.SignIn(t, relyingparty.NewBrowser(t, n.address, nil), as)
	return &session{token: tokens.RefreshToken}
}

// answer is what a server said to a refresh; status 0 means that it said nothing.
type answer struct {
	status     int
	err        string
	refresh    string
	retryAfter string
	raw        string
}

func refreshAt(address, token string) answer {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"kubectl-fairlead"}, "refresh_token": {token}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer{err: err.Error()}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err.Error()}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{err: err.Error()}
	}
	var body struct {
		Error   string `json:"error"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.Unmarshal(raw, &body)
	return answer{status: resp.StatusCode, err: body.Error, refresh: body.Refresh, retryAfter: resp.Header.Get("Retry-After"), raw: string(raw)}
}

// run refreshes at random servers until it is over.
func (s *session) run(over <-chan struct{}, nodes []*node, result *tally) {
	for {
		select {
		case <-over:
			return
		default:
		}
		got := refreshAt(nodes[rand.IntN(len(nodes))].address, s.token)
		switch {
		case got.status == http.StatusOK:
			s.token = got.refresh
			s.good.Add(1)
			result.add("refreshed", "")
		case got.status == 0:
			result.add("no answer", got.err)
			time.Sleep(20 * time.Millisecond)
		case got.status == http.StatusServiceUnavailable && got.retryAfter != "":
			result.add("unavailable", got.raw)
			time.Sleep(50 * time.Millisecond)
		default:
			result.add(fmt.Sprint(got.status, " ", got.err), got.raw)
			s.lost.Store(true)
			return
		}
	}
}

// load is sessions that refresh while something happens.
type load struct {
	sessions []*session
	result   *tally
	over     chan struct{}
	wg       sync.WaitGroup
}

func startLoad(t *testing.T, nodes []*node, count int) *load {
	t.Helper()
	l := &load{result: newTally(), over: make(chan struct{})}
	for i := range count {
		l.sessions = append(l.sessions, signInAt(t, nodes[0], i%20))
	}
	for _, s := range l.sessions {
		l.wg.Go(func() { s.run(l.over, nodes, l.result) })
	}
	return l
}

// everybodyWorks waits until each session has refreshed once more.
func (l *load) everybodyWorks(t *testing.T, what string) {
	t.Helper()
	before := make([]int64, len(l.sessions))
	for i, s := range l.sessions {
		before[i] = s.good.Load()
	}
	deadline := time.Now().Add(40 * time.Second)
	for time.Now().Before(deadline) {
		waiting := 0
		for i, s := range l.sessions {
			if s.lost.Load() {
				t.Fatalf("%s: a session is lost: %s", what, l.result)
			}
			if s.good.Load() == before[i] {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not everybody refreshes again: %s", what, l.result)
}

// stop ends the load and wants nothing but refreshes, and what a careful client
// gets over.
func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.over)
	l.wg.Wait()
	t.Logf("%s", l.result)
	for kind := range l.result.counts {
		if !slices.Contains([]string{"refreshed", "unavailable", "no answer"}, kind) {
			t.Errorf("%s", l.result)
		}
	}
}

func wait(short, longer time.Duration) {
	if *long {
		time.Sleep(longer)
		return
	}
	time.Sleep(short)
}

// output runs a program and returns what it wrote.
func output(name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
