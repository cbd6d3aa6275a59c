//go:build !windows

package main

import (
	"strings"
	"testing"
	"time"
)

const escape = "\x1b["

// TestOverviewSignedOut runs "kubectl fairlead" without a session.
func TestOverviewSignedOut(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe())
	c := newComputer(t)
	r := c.run()
	if want := "You are not signed in.\nYour kubeconfig names no Fairlead server. Ask your admin for its address.\n\nNext:\n" +
		"  kubectl fairlead login ADDRESS   Sign in\n  kubectl fairlead doctor          Check for problems\n  kubectl fairlead --help          List all commands\n"; r.out != want || r.err != "" || r.code != exitSignInRequired {
		t.Errorf("a new computer: %+v", r)
	}
	c.signIn(s)
	if r := c.run("logout"); r.code != 0 || !strings.Contains(r.err, "Signed out of "+s.URL+" on this computer.") {
		t.Errorf("%+v", r)
	}
	// The kubeconfig still names the server.
	if r := c.run(); !strings.HasPrefix(r.out, "You are not signed in.\n\nNext:\n  kubectl fairlead login "+s.URL+"   ") || r.code != exitSignInRequired {
		t.Errorf("after logout: %+v", r)
	}
	for _, command := range []string{"status", "clusters", "kubeconfig"} {
		if r := c.run(command); r.err != "You are not signed in.\nRun: kubectl fairlead login "+s.URL+"\n" || r.code != exitSignInRequired {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if r := c.run("login", "--code", "x"); r.code != 0 || !strings.Contains(r.err, "Signed in to "+s.URL) {
		t.Errorf("login must use the server in the kubeconfig: %+v", r)
	}
}

// TestOverviewSignedIn runs "kubectl fairlead" with a session, with and without a token, and
// after the server has ended the session.
func TestOverviewSignedIn(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t)
	c.signIn(s)
	ends := s.ends.UTC().Format("Mon 2 Jan 15:04")
	want := "Signed in as local:jane@example.test\n  Server    " + s.URL + "\n  Session   ends in 6 days, on " + ends + "\n  Clusters  2\n  Context   prod-eu\n  Token     TOKEN\n\nNext:\n" +
		"  kubectl fairlead use dev   Switch kubectl to another cluster\n  kubectl fairlead status    Show all clusters and their tokens\n  kubectl fairlead --help    List all commands\n"
	if r := c.run(); r.out != strings.Replace(want, "TOKEN", "none yet; kubectl gets one by itself", 1) || r.err != "" || r.code != 0 {
		t.Errorf("without a token: %+v", r)
	}
	c.run("get-token", "--server", s.URL, "--cluster", "prod-eu")
	if r := c.run(); r.out != strings.Replace(want, "TOKEN", "valid for 4 minutes; kubectl renews it by itself", 1) || r.code != 0 {
		t.Errorf("with a token: %+v", r)
	}
	if r := c.run("status"); !strings.Contains(r.out, "Stored in a file that only you can read") || !strings.Contains(r.out, "    CLUSTER   NAME                   CONTEXT       TOKEN\n*   prod-eu   Production in Europe   prod-eu   4 minutes\n") {
		t.Errorf("%+v", r)
	}
	s.set(func(s *fakeServer) { s.ended = true })
	if r := c.run(); !strings.HasPrefix(r.out, "The session was ended on the account page.\n\nNext:\n  kubectl fairlead login "+s.URL+"  ") || r.code != exitSignInRequired {
		t.Errorf("after the session has ended: %+v", r)
	}
}

// TestOverviewServerAway runs "kubectl fairlead" while the server does not answer.
func TestOverviewServerAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe())
	c := newComputer(t)
	c.signIn(s)
	s.set(func(s *fakeServer) { s.delay = time.Minute })
	start := time.Now()
	r := c.run()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	if !strings.HasPrefix(r.err, s.URL+" can't be reached: it did not respond in time.\nCheck the address") || !strings.HasPrefix(r.out, "Last known state: signed in as local:jane@example.test\n") ||
		!strings.Contains(r.out, "  kubectl fairlead doctor "+s.URL+"   Find out why") || r.code != exitFailed {
		t.Errorf("a slow server: %+v", r)
	}
	s.Close()
	for _, args := range [][]string{nil, {"status"}} {
		if r := c.run(args...); !strings.Contains(r.err, "can't be reached: dial tcp") || !strings.Contains(r.out, "Clusters  1") && !strings.Contains(r.out, "prod-eu   Production") || r.code != exitFailed {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// TestColoursOnlyOnTerminals compares a terminal, NO_COLOR and a pipe.
func TestColoursOnlyOnTerminals(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t)
	c.signIn(s)
	s.set(func(s *fakeServer) { s.delay = 600 * time.Millisecond })
	text, code := c.screen(80, "", "")
	if !strings.Contains(text, escape+"1mlocal:jane@example.test") || !strings.Contains(text, "- Asking "+s.URL) || code != 0 {
		t.Errorf("a terminal must get colours and progress: exit code %d, %q", code, text)
	}
	plain := newComputer(t, "NO_COLOR=1")
	plain.signIn(s)
	for _, args := range [][]string{nil, {"status"}, {"doctor"}, {"clusters"}, {"stauts"}} {
		if text, _ := plain.screen(80, "", "", args...); strings.Contains(text, escape) || strings.Contains(text, "Asking") || text == "" {
			t.Errorf("%v with NO_COLOR: %q", args, text)
		}
		if r := c.run(args...); strings.Contains(r.out+r.err, escape) || strings.Contains(r.out+r.err, "Asking") {
			t.Errorf("%v in a pipe: %+v", args, r)
		}
	}
}

// TestNarrowTerminal holds tables within 40 columns.
func TestNarrowTerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t, "NO_COLOR=1")
	c.signIn(s)
	for _, args := range [][]string{{"clusters"}, {"status"}} {
		text, code := c.screen(40, "", "", args...)
		i := strings.Index(text, "CLUSTER ")
		if i < 0 || code != 0 || strings.Contains(text, "SERVER") || args[0] == "status" && !strings.Contains(text, "…") {
			t.Fatalf("%v: exit code %d\n%s", args, code, text)
		}
		for line := range strings.Lines(text[i:]) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
	}
	if r := c.run("clusters"); !strings.Contains(r.out, "prod-eu   Production in Europe   https://prod-eu.k8s.example.com\n") {
		t.Errorf("a pipe must get complete cells: %+v", r)
	}
}

// TestProfiles misspells a profile, and has two accounts.
func TestProfiles(t *testing.T) {
	t.Parallel()
	s := startServer(t, europe(), development())
	c := newComputer(t)
	c.signIn(s)
	c.signIn(s, "--profile", "work")
	if r := c.run("status", "--profile", "wrok"); r.err != "You are not signed in with the profile wrok. Did you mean work?\nRun: kubectl fairlead login "+s.URL+" --profile wrok\n" || r.code != exitSignInRequired {
		t.Errorf("%+v", r)
	}
	if r := c.run("clusters"); r.err != "You are signed in with several accounts: "+s.URL+", "+s.URL+" as work. Name the server as an argument, or use --profile.\n" || r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	if r := c.run("use", "dev"); !strings.HasSuffix(r.err, " Use --server or --profile.\n") || r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	if r := c.run("use", "dev", "--server", s.URL); r.err != "kubectl now uses the context dev.\n" || r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := c.run(); strings.Count(r.out, "Signed in as ") != 2 || !strings.Contains(r.out, "  Profile   work\n") || r.code != 0 {
		t.Errorf("%+v", r)
	}
}
