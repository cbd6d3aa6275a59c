//go:build !windows

package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

const ctrlC = "\x03"

// TestCtrlC presses Ctrl-C while the program waits: for a browser, for a code, for the server,
// and for kubectl.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t)
	for name, args := range map[string][]string{"browser": {"login", s.URL}, "code": {"login", s.URL, "--device"}} {
		text, code := c.screen(100, "Press Ctrl-C to cancel.", ctrlC, args...)
		if code != exitCancelled || !strings.HasSuffix(text, "The sign-in was cancelled.\nRun: kubectl fairlead login "+s.URL+"\n") || strings.Contains(text, "context canceled") {
			t.Errorf("%s: exit code %d\n%s", name, code, text)
		}
	}
	if r := c.run("get-token", "--server", s.URL, "--cluster", "prod-eu"); r.code != exitSignInRequired || r.err != "You are not signed in to "+s.URL+". The last sign-in was cancelled.\nRun: kubectl fairlead login "+s.URL+"\n" {
		t.Errorf("no second tab may open after that: %+v", r)
	}
	c.signIn(s)
	c.script("kubectl", "echo started\nexec sleep 60\n")
	text, code := c.screen(100, "started", ctrlC, "each", "all", "--", "get", "pods")
	if code != exitCancelled || !strings.Contains(text, "Cancelled: kubectl was stopped for ") || !strings.Contains(text, "prod-eu") || !strings.Contains(text, "Run the command again") {
		t.Errorf("each: exit code %d\n%s", code, text)
	}
	s.set(func(s *fakeServer) { s.delay = time.Minute })
	text, code = c.screen(100, "Asking", ctrlC, "clusters")
	if code != exitCancelled || !strings.HasSuffix(text, "Cancelled before the command had finished.\nRun it again: kubectl fairlead clusters\n") {
		t.Errorf("clusters: exit code %d\n%s", code, text)
	}
}

// TestInterruptReachesKubectlFirst interrupts kubectl before the program itself gets the signal. A terminal sends
// Ctrl-C to both, in no order.
func TestInterruptReachesKubectlFirst(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t)
	c.signIn(s)
	c.script("kubectl", "echo started\nkill -INT $$\n")
	r := c.run("each", "all", "--parallel", "1", "--", "get", "pods")
	if r.code != exitCancelled || r.err != "Cancelled: kubectl was stopped for prod-eu, dev.\nRun the command again for these clusters.\n" {
		t.Errorf("%+v", r)
	}
	if strings.Count(r.out, "started") != 1 {
		t.Errorf("kubectl was started for another cluster after the interrupt:\n%s", r.out)
	}
	c.script("kubectl", "kill -KILL $$\n")
	if r := c.run("each", "dev", "--", "get", "pods"); r.code != exitFailed || !strings.Contains(r.err, "1 of 1 clusters failed") {
		t.Errorf("killed by another signal: %+v", r)
	}
}

// TestNoTerminal has neither a terminal nor a browser, as in a cron job: the program must not
// wait for a user.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe())
	c := newComputer(t, "BROWSER=", "DISPLAY=", "WAYLAND_DISPLAY=", "SSH_CONNECTION=x")
	start := time.Now()
	if r := c.run("get-token", "--server", s.URL, "--cluster", "prod-eu"); r.code != exitSignInRequired || r.out != "" || r.err != "You are not signed in to "+s.URL+".\nRun: kubectl fairlead login "+s.URL+"\n" {
		t.Errorf("get-token: %+v", r)
	}
	if r := c.run("login", s.URL); r.code != exitSignInRequired || !strings.HasPrefix(r.err, "The sign-in can't start: there is no terminal") || !strings.HasSuffix(r.err, "\nRun: kubectl fairlead login "+s.URL+"\n") {
		t.Errorf("login: %+v", r)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	ci := newComputer(t, "CI=true")
	if r := ci.run("login", s.URL); r.code != exitSignInRequired || !strings.Contains(r.err, "CI=true is set. Programs sign in as workloads: "+s.URL+apitypes.WorkloadsPath) {
		t.Errorf("CI=true: %+v", r)
	}
}

// TestGetTokenPrintsOnlyTheCredential holds the contract of exec credential plugins: standard
// output is one ExecCredential, even if messages are shown in a terminal.
func TestGetTokenPrintsOnlyTheCredential(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe())
	c := newComputer(t)
	c.signIn(s)
	for range 2 { // from the server, and from the cache
		r := c.run("get-token", "--server", s.URL, "--cluster", "prod-eu")
		var credential struct {
			Kind   string
			Status struct{ Token string }
		}
		if err := json.Unmarshal([]byte(r.out), &credential); err != nil || credential.Kind != "ExecCredential" || credential.Status.Token != "access" || r.err != "" || r.code != 0 {
			t.Errorf("%v: %+v", err, r)
		}
	}
	if r := c.run("get-token", "--server", s.URL, "--cluster", "prod-ue"); r.code != exitRefused || r.out != "" || !strings.Contains(r.err, "no access rule lets you use the cluster prod-ue. Did you mean prod-eu?") {
		t.Errorf("a misspelled cluster: %+v", r)
	}
	// A terminal gets messages; the pipe of standard output gets none of them.
	shell := exec.CommandContext(t.Context(), "script", "-qec", c.command().Path+" get-token --server "+s.URL+" --cluster x >"+c.home+"/out", "/dev/null")
	shell.Env = c.env
	if out, err := shell.CombinedOutput(); err == nil || !strings.Contains(string(out), "no access rule") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTypos misspells commands, flags, formats and addresses.
func TestTypos(t *testing.T) {
	t.Parallel()
	c := newComputer(t)
	c.signIn(startServer(t, europe()))
	for _, try := range []struct {
		args []string
		want string
	}{
		{[]string{"stauts"}, "There is no command \"stauts\". Did you mean status?\nRun: kubectl fairlead --help\n"},
		{[]string{"whoami"}, "There is no command \"whoami\". Did you mean status?\nRun: kubectl fairlead --help\n"},
		{[]string{"frobnicate"}, "There is no command \"frobnicate\".\nRun: kubectl fairlead --help\n"},
		{[]string{"login", "--as-diferent-user"}, "\"kubectl fairlead login\" has no flag --as-diferent-user. Did you mean --as-different-user?\nRun: kubectl fairlead login --help\n"},
		{[]string{"status", "-x"}, "\"kubectl fairlead status\" has no flag -x.\nRun: kubectl fairlead status --help\n"},
		{[]string{"clusters", "-o", "jsn"}, "The output format \"jsn\" is not known. Use json, yaml or name. Did you mean json?\nRun: kubectl fairlead clusters --help\n"},
		{[]string{"clusters", "a", "b"}, "\"kubectl fairlead clusters\" takes one argument, the URL of a server, but got 2.\nRun: kubectl fairlead clusters --help\n"},
		{[]string{"use"}, "\"kubectl fairlead use\" takes one argument, the name of a cluster, but got 0.\nRun: kubectl fairlead use --help\n"},
		{[]string{"use", "prod-ue"}, "You have no cluster \"prod-ue\". Did you mean prod-eu?\nChoose one of: prod-eu\n"},
		{[]string{"each", "prod-ue", "--", "get", "pods"}, "The selector \"prod-ue\" matches none of your clusters. Did you mean prod-eu?\nChoose one of: prod-eu\n"},
		{[]string{"kubeconfig", "--check", "--print"}, "--print and --check can't be used together. Use one of them.\nRun: kubectl fairlead kubeconfig --help\n"},
		{[]string{"login", "login.example.com"}, "\"login.example.com\" is not a URL. Did you mean https://login.example.com?\n"},
		{[]string{"login", "http://login.example.com"}, "http://login.example.com is not encrypted. Use https://login.example.com\n"},
		{[]string{"login", "https://login.test", "--profile", "Not A Name"}, "The profile name \"Not A Name\" is not valid. Use up to 32 lower-case letters, digits and dashes, such as work.\n"},
	} {
		if r := c.run(try.args...); r.err != try.want || r.out != "" || r.code != exitUsage {
			t.Errorf("%v: %+v", try.args, r)
		}
	}
}
