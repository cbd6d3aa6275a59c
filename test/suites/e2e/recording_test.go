package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// cast is a recording, read.
type cast struct {
	file  string
	title string
	text  string // all that was shown
	kinds string // of its events
	last  string
}

func casts(t *testing.T, dir string) []cast {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.cast")
	if err != nil {
		t.Fatal(err)
	}
	var out []cast
	for _, file := range files {
		c := cast{file: file}
		for i, line := range strings.Split(strings.TrimSpace(readFile(t, file)), "\n") {
			if i == 0 {
				var h struct{ Title string }
				if err := json.Unmarshal([]byte(line), &h); err != nil {
					t.Fatal(err)
				}
				c.title = h.Title
				continue
			}
			var e [3]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			kind, text := fmt.Sprint(e[1]), fmt.Sprint(e[2])
			c.kinds += kind
			switch kind {
			case "o":
				c.text += text
			case "m", "r":
				c.last += text + "\n"
			}
		}
		out = append(out, c)
	}
	return out
}

// TestShellsAreRecorded types into shells with a real kubectl, over WebSocket and SPDY, and
// reads what was recorded; changes it, and is found out; and fills the disk.
func TestShellsAreRecorded(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a, b := freeAddress(t), freeAddress(t)
	s.runFor(t, a, b)
	s.startKube(t, nil)
	dir := s.dir + "/recordings"
	s.proxyExtra = "recording: {dir: " + dir + ", upload: false}\n"
	s.startProxy(t, "a", a, "")
	full := s.dir + "/full.log"
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	s.proxyExtra = "audit: {file: {path: " + full + "}, onFailure: refuse}\n"
	s.startProxy(t, "b", b, "")
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	t.Run("a full disk", func(t *testing.T) { fullDisk(t, *me, full) })

	for name, env := range map[string][]string{"websocket": nil, "spdy": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"}} {
		p := *me
		p.env = append(append([]string{}, me.env...), env...)
		t.Run(name, func(t *testing.T) { isRecorded(t, p, dir) })
	}
	t.Run("refused", func(t *testing.T) {
		before := len(casts(t, dir))
		if r := me.run("", "kubectl", "exec", "-n", "kube-system", "--context", "a", "hello", "--", "true"); r.code == 0 {
			t.Errorf("%+v", r)
		}
		if after := casts(t, dir); len(after) != before {
			t.Errorf("what did not happen is recorded: %+v", after[len(after)-1])
		}
	})
	t.Run("verify", func(t *testing.T) { verifyFindsOut(t, s, dir) })
	t.Run("nowhere to record", func(t *testing.T) { nowhereToRecord(t, *me, dir) })
}

func isRecorded(t *testing.T, p person, dir string) {
	p.t = t
	known := map[string]bool{}
	for _, c := range casts(t, dir) {
		known[c.file] = true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "kubectl", "exec", "-it", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "sleep 1; stty size; echo grün; read word; echo got $word; exit 3")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 111})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	go func() {
		time.Sleep(3 * time.Second)
		_, _ = io.WriteString(terminal, "typed\r")
	}()
	_, _ = io.ReadAll(terminal) // ends with an error when the program does
	_ = cmd.Wait()
	p.run("", "kubectl", "exec", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "echo out; echo err >&2")
	p.run("ping\n", "kubectl", "attach", "-i", "-n", "demo", "--context", "a", "hello")
	portForwardWorks(t, p) // is not one
	var fresh []cast
	eventually(t, "three recordings", 10*time.Second, func() bool {
		fresh = nil
		for _, c := range casts(t, dir) {
			if !known[c.file] {
				fresh = append(fresh, c)
			}
		}
		return len(fresh) == 3
	})
	for i, want := range []struct{ title, text, text2, last string }{
		{"exec demo/hello", "grün\r\n", "got typed", "111x33"},
		{"exec demo/hello", "out\n", "err\n", "the session ended"},
		{"attach demo/hello", "attached\n", "ping\n", "the session ended"},
	} {
		got := fresh[i]
		if got.title != want.title || !strings.Contains(got.text, want.text) || !strings.Contains(got.text, want.text2) || !strings.Contains(got.last, want.last) || strings.Contains(got.kinds, "i") || !strings.HasSuffix(got.kinds, "ms") {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if !strings.Contains(fresh[0].last, `"message":"command terminated with`) && !strings.Contains(fresh[0].last, "exit code 3") {
		t.Errorf("how it ended is not there: %s", fresh[0].last)
	}
}

func verifyFindsOut(t *testing.T, s *system, dir string) {
	config := s.dir + "/proxy-a.yaml"
	all := casts(t, dir)
	operate := func(args ...string) (string, error) {
		out, err := commandOutput(t, s.bin+"/fairlead-proxy", append(args, "--config", config)...)
		return out, err
	}
	out, err := operate("recording", "verify", all[0].file, all[1].file)
	if err != nil || strings.Count(out, "complete and unchanged") != 2 || !strings.Contains(out, "local:jane@example.test, exec demo/hello") {
		t.Errorf("%v: %s", err, out)
	}
	text := readFile(t, all[0].file)
	forged := writeFile(t, s.dir+"/forged.cast", strings.Replace(text, "grün", "grau", 1))
	if out, err := operate("recording", "verify", forged); err == nil || !strings.Contains(out, "was changed") || !strings.Contains(out, "INCOMPLETE OR CHANGED") {
		t.Errorf("%v: %s", err, out)
	}
	key, err := operate("recording", "key")
	if err != nil || strings.Contains(key, `"d"`) {
		t.Fatalf("%v: %s", err, key)
	}
	file := writeFile(t, s.dir+"/key.jwk", key)
	if out, err := commandOutput(t, s.bin+"/fairlead-proxy", "recording", "verify", "--key", file, all[0].file); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// nowhereToRecord puts a file where the directory was.
func nowhereToRecord(t *testing.T, p person, dir string) {
	p.t = t
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "in the way")
	r := p.run("", "kubectl", "exec", "-n", "demo", "--context", "a", "hello", "--", "echo", "ran")
	if r.code == 0 || strings.Contains(r.out, "ran") || !strings.Contains(r.err, "the proxy cannot record it") {
		t.Errorf("%+v", r)
	}
	p.kubectl("get", "pods", "-n", "demo", "--context", "a")
}

// fullDisk has an audit log on a disk without room, that is later there.
func fullDisk(t *testing.T, p person, full string) {
	p.t = t
	r := p.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "b")
	if r.code == 0 || !strings.Contains(r.err, "the proxy cannot write its audit log") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	p.kubectl("get", "pods", "-n", "demo", "--context", "b")
	if text := readFile(t, full); !strings.Contains(text, `"code":503`) || !strings.Contains(text, `"code":200`) {
		t.Errorf("what was refused is missing: %s", text)
	}
}

func commandOutput(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}
