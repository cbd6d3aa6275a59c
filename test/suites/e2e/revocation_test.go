package e2e_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// stream is a kubectl that runs until the proxy or the test ends it.
type stream struct {
	name     string
	cmd      *exec.Cmd
	out, err lockedBuffer
	ended    chan struct{}
}

// lockedBuffer may be read while a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (p *person) stream(name string, env []string, args ...string) *stream {
	p.t.Helper()
	s := &stream{name: name, ended: make(chan struct{})}
	other := *p
	other.env = append(append([]string{}, p.env...), env...)
	s.cmd = other.command(p.t.Context(), "kubectl", args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.err
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	p.t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-s.ended })
	eventually(p.t, name, 30*time.Second, func() bool { return strings.TrimSpace(s.out.String()) != "" })
	return s
}

func (s *stream) open() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// TestALeaverIsCutOff: the open streams of kubectl end with a message when an admin disables the user, and those
// of other users stay open.
func TestALeaverIsCutOff(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	users := strings.Replace(localUsers(t), "name: Bob,", "name: Bob, groups: [developers],", 1)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), users+"clusters:\n"+clusterEntry("a", address, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	s.startKube(t, nil)
	s.startProxy(t, "a", address, "")
	leaver, colleague := s.person(t, jane()), s.person(t, bob())
	for _, p := range []*person{leaver, colleague} {
		if r := p.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
			t.Fatalf("%+v\n%s", r, p.browserFault())
		}
		p.env = append(p.env, "CI=true") // no user signs in again without being asked
	}
	shell := []string{"exec", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "echo begun; sleep 600"}
	spdy := []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false"}
	theirs := []*stream{
		leaver.stream("shell", nil, shell...), leaver.stream("shell over SPDY", spdy, shell...),
		leaver.stream("watch", nil, "get", "pods", "-n", "demo", "--context", "a", "--watch"),
	}
	ours := []*stream{
		colleague.stream("shell", nil, shell...), colleague.stream("shell over SPDY", spdy, shell...),
	}
	began := time.Now()
	s.operate(t, "user", "disable", "local:jane@example.test")
	eventually(t, "end of the leaver's streams", 20*time.Second, func() bool {
		return !theirs[0].open() && !theirs[1].open()
	})
	t.Logf("the shells ended %d ms after the command began", time.Since(began).Milliseconds())
	if !strings.Contains(theirs[0].err.String(), "fairlead-proxy: Access denied: all your sign-ins were ended") {
		t.Errorf("kubectl does not say why: %s", theirs[0].err.String())
	}
	// kubectl watches again when a watch ends, and is refused.
	eventually(t, "end of the watch", 20*time.Second, func() bool { return !theirs[2].open() })
	if r := leaver.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a"); r.code == 0 {
		t.Errorf("the leaver is still in: %+v", r)
	}
	for _, o := range ours {
		if !o.open() {
			t.Errorf("somebody else's %s ended too: %s", o.name, o.err.String())
		}
	}
}

// TestTheServerIsAway: the proxy keeps its last known state, also after a restart, and refuses a snapshot that
// was changed.
func TestTheServerIsAway(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	s.runFor(t, address)
	s.startKube(t, nil)
	s.startProxy(t, "a", address, "")
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	works := func() bool {
		return me.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a").code == 0
	}
	if !works() {
		t.Fatal("it does not work to begin with")
	}
	snapshot := s.dir + "/state-a/snapshot.jws"
	eventually(t, "snapshot with the issuer's keys", 40*time.Second, func() bool {
		text, err := os.ReadFile(snapshot)
		return err == nil && hasKeys(text)
	})
	s.server.kill()
	if !works() {
		t.Error("without the server a token that is good is refused")
	}
	s.proxies["a"].kill()
	again := start(t, s.bin+"/fairlead-proxy", nil, "serve", "--config", s.dir+"/proxy-a.yaml")
	eventually(t, "proxy that started without the server", 20*time.Second, works)

	again.kill()
	text, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), ".")
	parts[1] = strings.Replace(parts[1], parts[1][20:24], "AAAA", 1)
	writeFile(t, snapshot, strings.Join(parts, "."))
	refused := start(t, s.bin+"/fairlead-proxy", nil, "serve", "--config", s.dir+"/proxy-a.yaml")
	eventually(t, "refusal of the snapshot", 20*time.Second, func() bool { return strings.Contains(refused.String(), "snapshot not loaded") })
	if works() {
		t.Error("the proxy works with a snapshot that somebody changed")
	}
}

// hasKeys reports whether a snapshot holds a key of the issuer's.
func hasKeys(snapshot []byte) bool {
	parts := strings.Split(string(snapshot), ".")
	if len(parts) != 3 {
		return false
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && bytes.Contains(body, []byte(`"kid"`))
}
