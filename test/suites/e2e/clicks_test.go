package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// newcomer is a new user with kubectl, the plugin and a browser. The test counts their clicks and commands.
type newcomer struct {
	*chromium
	me               *person
	clicks, commands int
}

func (s *system) newcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{chromium: startChromium(t, s), me: s.person(t, jane())}
	// The tab that the plugin opens is one of this browser.
	script := writeFile(t, n.me.home+"/tab", "#!/bin/sh\necho \"$1\" > "+quote(n.me.home+"/address")+"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	n.me.env = append(n.me.env, "BROWSER="+script)
	return n
}

func (n *newcomer) press(selector string) {
	n.t.Helper()
	n.clicks++
	n.click(selector)
}

// signIn types the password; that is one click, as to choose a provider would be.
func (n *newcomer) signIn() {
	n.t.Helper()
	n.do(chromedp.WaitReady("#password"), chromedp.SendKeys("#username", "jane@example.test"), chromedp.SendKeys("#password", "fairlead-demo"))
	n.press("form button.button")
}

// paste runs a command in a shell, and shows the tab that it opens.
func (n *newcomer) paste(command string) (wait func() string) {
	n.t.Helper()
	n.commands++
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), n.me.env...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "the tab", 20*time.Second, func() bool { _, err := os.Stat(n.me.home + "/address"); return err == nil })
	time.Sleep(100 * time.Millisecond) // until it is written
	n.do(chromedp.Navigate(strings.TrimSpace(readFile(n.t, n.me.home+"/address"))), chromedp.WaitReady("main"))
	return func() string {
		defer cancel()
		if err := cmd.Wait(); err != nil {
			n.t.Fatalf("%s: %v\n%s", command, err, out.String())
		}
		return out.String()
	}
}

func (n *newcomer) atMost(clicks, commands int) {
	n.t.Helper()
	if n.clicks > clicks || n.commands > commands {
		n.t.Errorf("%d clicks and %d commands, at most %d and %d", n.clicks, n.commands, clicks, commands)
	}
}

// loginCopy is the button beside the command to sign in, downloadAll the link to a kubeconfig for all
// clusters.
const (
	loginCopy   = "#login + [data-copy]"
	downloadAll = ".head a[data-download]"
)

// copies presses a Copy button and returns what is on the clipboard.
func (n *newcomer) copies(button string) string {
	n.t.Helper()
	n.mayCopy()
	n.clicks++
	n.do(chromedp.WaitVisible(button), chromedp.Click(button, chromedp.ByQuery))
	return n.copied(button)
}

// mayCopy lets pages use the clipboard, as a person who is asked does.
func (c *chromium) mayCopy() {
	c.t.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		c.do(browser.SetPermission(&browser.PermissionDescriptor{Name: name}, browser.PermissionSettingGranted))
	}
}

// copied waits until a Copy button says so, and reads the clipboard.
func (c *chromium) copied(button string) string {
	c.t.Helper()
	eventuallySee(c.t, "Copied", func() string { return c.eval("document.querySelector(" + strconv.Quote(button) + ").textContent") })
	return c.eval(`navigator.clipboard.readText()`)
}

// TestTimeToFirstKubectl counts the clicks and commands until the first "kubectl get" works. The first one is
// in the browser: once kubectl is signed in, the landing page folds the set-up steps.
func TestTimeToFirstKubectl(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	t.Run("from the browser", func(t *testing.T) {
		n := s.newcomer(t)
		n.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
		n.signIn()
		done := n.paste(n.copies(loginCopy))
		n.press("button[value=yes]")
		done()
		n.me.kubectl("get", "pods", "-n", "demo", "--context", "b")
		n.atMost(3, 1)
	})
	t.Run("from the terminal", func(t *testing.T) {
		n := s.newcomer(t)
		done := n.paste("kubectl fairlead login " + s.issuer)
		n.signIn()
		n.press("button[value=yes]")
		if got := done(); !strings.Contains(got, "Try: kubectl auth whoami --context a") {
			t.Errorf("%s", got)
		}
		n.me.kubectl("get", "pods", "-n", "demo", "--context", "a")
		n.atMost(2, 1)
	})
	t.Run("by a download", func(t *testing.T) {
		n := s.newcomer(t)
		dir := t.TempDir()
		n.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir))
		n.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
		n.signIn()
		n.clicks++
		n.do(chromedp.WaitReady("#clusters"), chromedp.Click(downloadAll, chromedp.ByQuery))
		file := dir + "/clusters.kubeconfig.yaml"
		eventually(t, "the file", 20*time.Second, func() bool { text, err := os.ReadFile(file); return err == nil && len(text) > 0 })
		n.atMost(2, 0)
		done := n.paste("kubectl get pods -n demo --context a --kubeconfig " + quote(file)) // and it works
		n.press("button[value=yes]")
		if got := done(); !strings.Contains(got, "hello") {
			t.Errorf("%s", got)
		}
	})
	t.Run("of some clusters", func(t *testing.T) {
		n := s.newcomer(t)
		dir := t.TempDir()
		n.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir))
		n.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
		n.signIn()
		n.press("button[name=selected]")
		if got := n.eval(`document.body.innerText`); !strings.Contains(got, "Choose at least one cluster first.") {
			t.Errorf("%s", got)
		}
		n.do(chromedp.Click("input[value=b]", chromedp.ByQuery), chromedp.Click("button[name=selected]", chromedp.ByQuery))
		file := dir + "/clusters.kubeconfig.yaml"
		eventually(t, "the file", 20*time.Second, func() bool { text, err := os.ReadFile(file); return err == nil && len(text) > 0 })
		if text := readFile(t, file); !strings.Contains(text, "--cluster=b") || strings.Contains(text, "--cluster=a") {
			t.Errorf("%s", text)
		}
	})
}

// TestSetupCode pastes a command with a code in it: no browser is opened there, and nothing is
// clicked but the way in and Copy.
func TestSetupCode(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a := freeAddress(t)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "kubeconfig: {setupCodes: true}\n"+localUsers(t)+"clusters:\n"+clusterEntry("a", a, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	s.startKube(t, nil)
	s.startProxy(t, "a", a, "")
	n := s.newcomer(t)
	n.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
	n.signIn()
	command := n.copies(".coded [data-copy]")
	if got := n.eval(`String(document.querySelector("#coded").checkVisibility())`); got != "false" {
		t.Errorf("the code is shown: %s", got)
	}
	for _, width := range []int64{360, 1280} {
		n.look(width, "light")
		n.shoot("setup-code", "light", width)
	}
	me := s.person(t, jane()) // over SSH: no browser, and no user to type a code
	args := strings.Fields(command)[2:]
	if r := me.run("", "kubectl-fairlead", args...); r.code != 0 || !strings.Contains(r.err, "Signed in to "+s.issuer+" as local:jane@example.test.") {
		t.Fatalf("%s: %+v", command, r)
	}
	n.atMost(2, 0)
	if got := me.kubectl("get", "pods", "-n", "demo", "--context", "a"); !strings.Contains(got, "hello") || me.tabs() != 0 {
		t.Errorf("%d tabs: %s", me.tabs(), got)
	}
	// The same command on another computer does not sign in, and ends the first session: the code was seen.
	other := s.person(t, jane())
	if r := other.run("", "kubectl-fairlead", args...); r.code != 4 || !strings.Contains(r.err, "used before") || other.tabs() != 0 {
		t.Errorf("%+v", r)
	}
	me.expireTokens()
	me.env = append(me.env, "CI=true")
	if r := me.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "Run: kubectl fairlead login ") {
		t.Errorf("%+v", r)
	}
}
