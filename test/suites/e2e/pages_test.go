package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// chromium is a real browser that trusts the test's authority.
type chromium struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	// what happened since the last visit
	requests int
	bytes    float64
	foreign  []string
	console  []string
	host     string
}

func startChromium(t *testing.T, s *system, more ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	program := prerequisite.Program(t, "chromium", "/usr/bin/chromium")
	certutil := prerequisite.Program(t, "certutil")
	home := browserHome(t)
	db := "sql:" + filepath.Join(home, ".pki/nssdb")
	if err := os.MkdirAll(filepath.Join(home, ".pki/nssdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-n", "test", "-t", "C,,", "-i", s.dir + "/ca.crt"}} {
		if out, err := exec.Command(certutil, append([]string{"-d", db}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("certutil: %v\n%s", err, out)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Env("HOME="+home), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true))
	options = append(options, more...)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(allocator)
	t.Cleanup(cancelTab)
	ctx, cancelTime := context.WithTimeout(ctx, 6*time.Minute)
	t.Cleanup(cancelTime)
	u, err := url.Parse(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, ctx: ctx, host: u.Host}
	chromedp.ListenTarget(ctx, c.listen)
	c.do(network.Enable(), log.Enable(), runtime.Enable())
	return c
}

// browserHome is a folder that goes when the browser's last process has let go
// of it, which is some moments after the browser itself has ended.
func browserHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "chromium") //nolint:usetesting // t.TempDir fails the test while the browser still writes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	return home
}

func (c *chromium) listen(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening: // "Leave this page?": a form with changes asks
		go func() { _ = chromedp.Run(c.ctx, page.HandleJavaScriptDialog(true)) }()
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(e.Request.URL, "data:") { // a part of the browser's own controls
			return
		}
		c.requests++
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != c.host && !strings.HasPrefix(u.Host, "127.0.0.1") {
			c.foreign = append(c.foreign, e.Request.URL)
		}
	case *network.EventLoadingFinished:
		c.bytes += e.EncodedDataLength
	case *log.EventEntryAdded:
		c.console = append(c.console, e.Entry.Text+" "+e.Entry.URL)
	case *runtime.EventExceptionThrown:
		c.console = append(c.console, e.ExceptionDetails.Error())
	}
}

func (c *chromium) do(actions ...chromedp.Action) {
	c.t.Helper()
	if err := chromedp.Run(c.ctx, actions...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chromium) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.bytes, c.foreign, c.console = 0, 0, nil, nil
}

func (c *chromium) eval(script string) string {
	c.t.Helper()
	var out string
	c.do(chromedp.Evaluate(script, &out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return out
}

// look sets what the person's screen is like. A narrow one is a phone's, for fingers.
func (c *chromium) look(width int64, scheme string) {
	c.t.Helper()
	c.do(
		emulation.SetDeviceMetricsOverride(width, 900, 1, false),
		emulation.SetTouchEmulationEnabled(width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	)
}

// audit checks one page in every look.
func (c *chromium) audit(name, address, axe string, budget int) {
	c.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			look := fmt.Sprintf("%s %s %d", name, scheme, width)
			c.look(width, scheme)
			c.do(network.ClearBrowserCache())
			c.reset()
			c.do(chromedp.Navigate(address), chromedp.WaitReady("main"))
			c.checkBudgets(look, budget)
			if got, err := strconv.ParseInt(c.eval(`String(document.documentElement.scrollWidth)`), 10, 64); err != nil || got > width {
				c.t.Errorf("%s: %d pixels wide, error %v", look, got, err)
			}
			if got := c.eval(smallTargets); got != "[]" {
				c.t.Errorf("%s: too small to hit: %s", look, got)
			}
			c.do(chromedp.Evaluate(unstick, nil), chromedp.Evaluate(axe, nil))
			if got := c.eval(`axe.run().then(r => JSON.stringify([...r.violations, ...r.incomplete].map(v => v.id + ": " + v.nodes.map(n => n.target).join(" "))))`); got != "[]" {
				c.t.Errorf("%s: axe: %s", look, got)
			}
			c.shoot(name, scheme, width)
		}
	}
}

// smallTargets names controls that are lower than 44 pixels for a finger, or than 24 for a mouse (WCAG
// 2.5.5 and 2.5.8). A checkbox is smaller and has its label or free space around it.
const smallTargets = `JSON.stringify([...document.querySelectorAll("button, .button, .button-like, .chip, input:not([type=hidden])")]
  .filter(e => e.checkVisibility() && !e.closest(".tabset > input") && e.getBoundingClientRect().height < (e.matches("[type=checkbox], [type=radio]") ? 17.5 : matchMedia("(pointer: coarse)").matches ? 43.5 : 23.5)).map(e => e.outerHTML.slice(0, 80)))`

// unstick puts a save bar where it is at the end of the page: axe can't judge the text that it covers
// until the page is scrolled.
const unstick = `for (const bar of document.querySelectorAll(".save-bar")) bar.style.position = "static"`

func (c *chromium) checkBudgets(look string, budget int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes > float64(budget) || c.requests > 6 {
		c.t.Errorf("%s: %d requests, %.0f bytes; at most 6 and %d", look, c.requests, c.bytes, budget)
	}
	if len(c.foreign) > 0 {
		c.t.Errorf("%s: requests to others: %q", look, c.foreign)
	}
	for _, line := range c.console {
		if !strings.Contains(line, "the server responded with a status of") { // an error page has its status
			c.t.Errorf("%s: console: %s", look, line)
		}
	}
}

// shoot keeps a picture where FAIRLEAD_TEST_SHOTS says.
func (c *chromium) shoot(name, scheme string, width int64) {
	c.t.Helper()
	dir := os.Getenv("FAIRLEAD_TEST_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	c.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(fmt.Sprintf("%s/%s-%s-%d.png", dir, name, scheme, width), png, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chromium) signIn(address, user string) {
	c.t.Helper()
	c.do(chromedp.Navigate(address), chromedp.WaitReady("main"))
	if strings.Contains(c.eval("document.body.innerText"), "Continue with Local users") {
		c.click("a.button")
	}
	c.do(chromedp.SetValue("#username", user), chromedp.SetValue("#password", "fairlead-demo"))
	c.click("form button.button")
}

func (c *chromium) click(selector string) {
	c.t.Helper()
	if _, err := chromedp.RunResponse(c.ctx, chromedp.Click(selector, chromedp.ByQuery)); err != nil {
		c.t.Fatal(err)
	}
}

// manyClusters is a configuration with everything that pages show.
func manyClusters(t *testing.T, dir string) string {
	t.Helper()
	writeFile(t, dir+"/secret", "x")
	text := strings.Replace(localUsers(t), "localUsers:", `- {id: github, type: github, name: GitHub, config: {clientID: x, clientSecret: "file:`+dir+`/secret", orgs: [{name: acme}]}}
localUsers:`, 1) + "clusters:\n"
	for i, c := range [][3]string{
		{"Production Europe", "production", "Shop and payments, Frankfurt"},
		{"Production US", "production", "Shop and payments, Virginia"},
		{"Staging", "staging", "What is released next"},
		{"Development", "development", "Every team has a namespace"},
		{"Data platform", "production", "Batch jobs and notebooks"},
		{"Edge Tokyo", "staging", "Caches"},
		{"Edge São Paulo", "staging", "Caches"},
		{"Sandbox with a rather long name that must wrap somewhere", "development", "For <b>tests</b> & more"},
		{"مجموعة", "development", "Right to left"},
	} {
		text += fmt.Sprintf("- {id: c%d, name: %q, environment: %q, description: %q, mode: direct, server: \"https://c%[1]d.k8s.example.test:6443\"}\n", i, c[0], c[1], c[2])
	}
	text = strings.Replace(text, "localUsers:\n", fmt.Sprintf("localUsers:\n- {login: kim@example.test, name: Kim, groups: [developers], passwordHash: %q}\n", hashed(t)), 1)
	return text + `
rules:
- {id: developers, description: Developers may use every cluster, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
admins: {users: ["local:jane@example.test"]}
contact: "platform@example.test"
` + wiki(dir, "https://wiki.example.test/callback")
}

// TestPages looks at every page in a real browser, light and dark, on a phone
// and on a desk.
func TestPages(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	s := prepare(t, p)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), manyClusters(t, s.dir))
	c := startChromium(t, s)
	const small, large = 60 << 10, 120 << 10
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access"}
	_, challenge := relyingparty.PKCE()
	authorize := plugin.AuthURL(challenge, url.Values{"fairlead_host": {"jane-laptop"}})

	c.audit("sign-in", authorize, axe, small)
	c.audit("password", s.issuer+"/login/local", axe, small)
	c.staysStill(authorize)
	c.audit("not-found", s.issuer+"/nowhere", axe, small)
	c.audit("signed-out", s.issuer+"/signed-out", axe, small)
	c.audit("help-visitor", s.issuer+"/help", axe, small)

	c.signIn(s.issuer+"/", "bob@example.test")
	c.audit("empty", s.issuer+"/", axe, small)
	c.audit("access-empty", s.issuer+"/access", axe, small)
	c.do(network.ClearBrowserCookies())
	c.signIn(s.issuer+"/", "jane@example.test")
	signInDevice(t, s)
	c.audit("clusters", s.issuer+"/", axe, small)
	c.staysStill(s.issuer + "/")
	c.staysStill(s.issuer + "/clusters/c0")
	c.audit("search-nothing", s.issuer+"/?q=zzz", axe, small)
	c.audit("cluster", s.issuer+"/clusters/c0", axe, large)
	c.audit("account", s.issuer+"/account", axe, small)
	c.audit("access", s.issuer+"/access?cluster=payments", axe, large)
	c.audit("access-have", s.issuer+"/access?cluster=c0", axe, large)
	c.audit("workloads", s.issuer+"/workloads", axe, large)
	c.audit("confirm", authorize, axe, small)
	auditDevice(t, c, s, axe, small)
	auditConsent(c, s, axe, small)
	c.audit("sign-out", s.issuer+"/sign-out", axe, small)

	testKeyboard(t, &typist{c}, s, axe)
	t.Run("cookies", func(t *testing.T) {
		c.do(chromedp.ActionFunc(func(ctx context.Context) error {
			cookies, err := network.GetCookies().Do(ctx)
			for _, cookie := range cookies {
				if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HTTPOnly || cookie.SameSite != network.CookieSameSiteLax {
					t.Errorf("cookie %+v", cookie)
				}
			}
			return err
		}))
	})
}

// signInDevice gives jane devices and an application to see on her account page.
func signInDevice(t *testing.T, s *system) {
	t.Helper()
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access", Transport: s.client.Transport}
	as := jane().Credentials
	as.Connector = "Local users"
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	plugin.SignIn(t, b, as)
	plugin.SignIn(t, b, as)
	b.SignIn(s.issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {"https://wiki.example.test/callback"}, "scope": {"openid email"},
	}.Encode(), as)
}

// TestFlowsInABrowser counts clicks and leaves for a foreign redirect URI, which
// a policy that is too strict would block; with and without JavaScript.
func TestFlowsInABrowser(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	s := prepare(t, p)
	loopback := freeAddress(t)
	writeFile(t, s.dir+"/secret", "x")
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("a", "127.0.0.1:1", s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`+wiki(s.dir, "http://"+loopback+"/cb"))
	app := startApplication(t, loopback)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			t.Parallel()
			c := startChromium(t, s)
			c.do(emulation.SetScriptExecutionDisabled(!scripts))
			flowA(t, c, s)
			flowC(t, c, s, scripts)
			flowFormPost(t, c, s, scripts, app)
		})
	}
}

// flowA is the terminal's sign-in: a password and one more click, then the code
// arrives at loopback.
func flowA(t *testing.T, c *chromium, s *system) {
	t.Helper()
	arrived := make(chan url.Values, 1)
	loopback := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			arrived <- r.URL.Query()
		}
		fmt.Fprint(w, "<!doctype html><title>ok</title><main>done</main>")
	})}
	ln := listen(t)
	go func() { _ = loopback.Serve(ln) }()
	t.Cleanup(func() { _ = loopback.Close() })
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://" + ln.Addr().String() + "/callback", Scope: "openid offline_access"}
	_, challenge := relyingparty.PKCE()
	c.signInPlain(plugin.AuthURL(challenge, nil))
	c.click("button[value=yes]")
	select {
	case q := <-arrived:
		if q.Get("code") == "" || q.Get("state") != "state-1" {
			t.Errorf("arrived with %v", q)
		}
	case <-time.After(10 * time.Second):
		t.Error("the browser did not leave for loopback")
	}
}

// signInPlain works without scripts.
func (c *chromium) signInPlain(address string) {
	c.t.Helper()
	c.do(chromedp.Navigate(address), chromedp.WaitReady("#password"), chromedp.SendKeys("#username", "jane@example.test"), chromedp.SendKeys("#password", "fairlead-demo"))
	c.click("form button.button")
}

// flowC is the download: after the sign-in, one click.
func flowC(t *testing.T, c *chromium, s *system, scripts bool) {
	t.Helper()
	dir := t.TempDir()
	c.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir))
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("#clusters"))
	var copyShown bool
	c.do(chromedp.Evaluate("document.querySelector('"+loginCopy+"').checkVisibility()", &copyShown))
	if copyShown != scripts {
		t.Errorf("the copy button is shown: %v, scripts run: %v", copyShown, scripts)
	}
	c.do(chromedp.Click(downloadAll, chromedp.ByQuery))
	eventually(t, "download", 20*time.Second, func() bool {
		text, err := os.ReadFile(dir + "/clusters.kubeconfig.yaml")
		return err == nil && strings.Contains(string(text), "kubectl-fairlead")
	})
}
