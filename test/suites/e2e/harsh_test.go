package e2e_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestPagesInHarshConditions has people who don't use a mouse, need large letters or strong
// contrast, go back, click twice, have two tabs, or belong to three hundred groups.
func TestPagesInHarshConditions(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), odd(t))
	c := startChromium(t, s)
	t.Run("keyboard only", func(t *testing.T) { keyboardOnly(t, c, s) })
	t.Run("letters of twice the size", func(t *testing.T) { largeLetters(t, c, s) })
	t.Run("long and odd data", func(t *testing.T) { longAndOdd(t, c, s) })
	t.Run("forced colours", func(t *testing.T) { forcedColours(t, c, s) })
	t.Run("no motion", func(t *testing.T) {
		c.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}), chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
		if got := c.eval(`String(document.getAnimations().length + [...document.querySelectorAll("*")].filter(e => getComputedStyle(e).transitionDuration !== "0s" || getComputedStyle(e).animationName !== "none").length)`); got != "0" {
			t.Errorf("%s things move", got)
		}
	})
	t.Run("print", func(t *testing.T) {
		c.do(emulation.SetEmulatedMedia().WithMedia("print"), chromedp.Navigate(s.issuer+"/access"), chromedp.WaitReady("main"))
		if got := c.eval(`String([...document.querySelectorAll("nav, .who, .foot, button")].filter(e => e.checkVisibility()).length)`); got != "0" {
			t.Errorf("%s parts for a screen are printed", got)
		}
		c.do(emulation.SetEmulatedMedia().WithMedia("screen"))
	})
	t.Run("back", func(t *testing.T) { goesBack(t, c, s) })
	t.Run("two tabs, and twice", func(t *testing.T) { twoTabs(t, s) })
}

// odd is a configuration with what makes pages burst: 200 clusters and 300 groups, long names,
// names from right to left and of emoji, and markup everywhere.
func odd(t *testing.T) string {
	t.Helper()
	var groups []string
	for i := range 300 {
		groups = append(groups, fmt.Sprintf("team-%03d-with-a-name", i))
	}
	text := strings.Replace(localUsers(t), "groups: [developers]", "groups: [developers, "+strings.Join(groups, ", ")+"]", 1) + "clusters:\n"
	for i := range 200 {
		name := fmt.Sprintf("Cluster %d %s", i, strings.Repeat("long", 17))
		switch i % 4 {
		case 1:
			name = fmt.Sprintf("مجموعة الإنتاج %d", i)
		case 2:
			name = fmt.Sprintf("🚢⚓ %d", i)
		case 3:
			name = fmt.Sprintf("<img src=x onerror=alert(%d)>", i)
		}
		text += fmt.Sprintf("- {id: c%d, name: %q, environment: %q, description: %q, labels: {team: %q}, mode: direct, server: \"https://c%[1]d.k8s.example.test:6443\"}\n",
			i, name, "<i>production</i>", strings.Repeat("word ", 40), strings.Repeat("x", 60))
	}
	return text + `
rules:
- {id: developers, description: "<b>Developers</b> may use every cluster", who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
contact: "<a href=x>platform@example.test</a>"
`
}

func (c *chromium) keys(keys string) {
	c.t.Helper()
	c.do(chromedp.KeyEvent(keys))
}

// tabTo presses Tab until what is wanted has the focus. Each stop on the way must be seen.
func (c *chromium) tabTo(selector string) {
	c.t.Helper()
	for range 60 {
		c.keys(kb.Tab)
		if got := c.eval(`(() => { const e = document.activeElement, s = getComputedStyle(e); return e === document.body || parseFloat(s.outlineWidth) >= 2 && s.outlineStyle !== "none" || e.matches("[type=radio]") ? "" : e.outerHTML.slice(0, 120) })()`); got != "" {
			c.t.Errorf("the focus can't be seen: %s", got)
		}
		if c.eval(`String(document.activeElement.matches(`+strconv.Quote(selector)+`))`) == "true" {
			return
		}
	}
	c.t.Fatalf("no way to %s with Tab", selector)
}

// press presses a key that leads to another page.
func (c *chromium) press(key string) {
	c.t.Helper()
	if _, err := chromedp.RunResponse(c.ctx, chromedp.KeyEvent(key)); err != nil {
		c.t.Fatal(err)
	}
	c.do(chromedp.WaitReady("main"))
}

// keyboardOnly signs in, confirms kubectl and downloads a file without a pointer.
func keyboardOnly(t *testing.T, c *chromium, s *system) {
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access"}
	_, challenge := relyingparty.PKCE()
	c.do(chromedp.Navigate(plugin.AuthURL(challenge, url.Values{"fairlead_host": {"laptop"}})), chromedp.WaitReady("main"))
	if got := c.eval(`document.activeElement.id`); got != "username" {
		t.Fatalf("the focus is on %q", got)
	}
	c.keys("jane@example.test")
	c.keys(kb.Tab)
	c.keys("fairlead-demo")
	c.press(kb.Enter)
	if got := c.eval(`document.querySelector("h1").textContent`); got != "Sign in kubectl on laptop?" {
		t.Fatalf("%s", got)
	}
	c.tabTo("button[value=yes]")
	c.keys(kb.Enter) // it leaves for the program, of which there is none here
	eventually(t, "the way back to kubectl", 20*time.Second, func() bool { return !strings.HasPrefix(c.eval(`location.href`), s.issuer) })
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
	c.mayCopy()
	c.tabTo(loginCopy)
	c.keys(kb.Enter)
	if got := c.copied(loginCopy); got != "kubectl fairlead login "+s.issuer {
		t.Errorf("copied %q", got)
	}
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
	dir := t.TempDir()
	c.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir))
	c.tabTo(downloadAll)
	c.keys(kb.Enter)
	eventually(t, "the file", 20*time.Second, func() bool {
		text, err := os.ReadFile(dir + "/clusters.kubeconfig.yaml")
		return err == nil && strings.Contains(string(text), "--cluster=c0")
	})
	// The first control of the page is the first with Tab.
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
	var tops []float64
	for range 12 {
		c.keys(kb.Tab)
		var top float64
		c.do(chromedp.Evaluate(`(() => { const r = document.activeElement.getBoundingClientRect(); return document.activeElement.matches(".skip") ? 0 : r.top + scrollY })()`, &top))
		tops = append(tops, top)
	}
	for i := 1; i < len(tops); i++ {
		if tops[i] < tops[i-1]-60 {
			t.Errorf("Tab goes up, from %.0f to %.0f", tops[i-1], tops[i])
		}
	}
}

func largeLetters(t *testing.T, c *chromium, s *system) {
	for _, width := range []int64{360, 1280} {
		c.look(width, "light")
		for _, path := range []string{"/", "/clusters/c0", "/access", "/account", "/help", "/workloads", "/login"} {
			c.do(chromedp.Navigate(s.issuer+path), chromedp.WaitReady("main"))
			c.do(chromedp.Evaluate(`document.documentElement.style.fontSize = "175%"`, nil))
			if got, err := strconv.ParseInt(c.eval(`String(document.documentElement.scrollWidth)`), 10, 64); err != nil || got > width {
				t.Errorf("%s with large letters is %d pixels wide at %d, error %v: %s", path, got, width, err, c.eval(widest))
			}
		}
	}
}

// widest names what sticks out furthest.
const widest = `(() => { let worst = null, right = innerWidth; for (const e of document.querySelectorAll("main *, header *, footer *")) { const r = e.getBoundingClientRect().right; if (r > right + 1 && !e.closest("pre")) { right = r; worst = e; } } return worst ? worst.outerHTML.slice(0, 160) : ""; })()`

func longAndOdd(t *testing.T, c *chromium, s *system) {
	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	for _, width := range []int64{320, 1280} {
		c.look(width, "dark")
		for _, path := range []string{"/", "/clusters/c0", "/clusters/c3", "/access", "/account", "/workloads"} {
			c.reset()
			c.do(chromedp.Navigate(s.issuer+path), chromedp.WaitReady("main"))
			if got, err := strconv.ParseInt(c.eval(`String(document.documentElement.scrollWidth)`), 10, 64); err != nil || got > width {
				t.Errorf("%s is %d pixels wide at %d, error %v: %s", path, got, width, err, c.eval(widest))
			}
			if got := c.eval(`String(document.querySelectorAll("img[src=x], main i, main b, main a[href=x]").length)`); got != "0" {
				t.Errorf("%s has markup of somebody else", path)
			}
			c.checkBudgets(path, 1<<20)
		}
		c.shoot("odd", "dark", width)
	}
	c.do(chromedp.Navigate(s.issuer+"/access"), chromedp.WaitReady("main"), chromedp.Evaluate(axe, nil))
	if got := c.eval(`axe.run().then(r => JSON.stringify(r.violations.map(v => v.id)))`); got != "[]" {
		t.Errorf("axe: %s", got)
	}
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("#q"))
	c.do(chromedp.SendKeys("#q", "196"))
	if got := c.eval(`document.querySelector("#filter-status").textContent`); !strings.HasPrefix(got, "0 of 40 clusters on this page match.") {
		t.Errorf("the filter of a page says %q", got)
	}
	c.press(kb.Enter)
	if got := c.eval(`document.querySelector("#filter-status").textContent`); got != "1 of 200 shown" {
		t.Errorf("the filter says %q", got)
	}
}

// forcedColours looks whether text and edges are still there when the system has its own.
func forcedColours(t *testing.T, c *chromium, s *system) {
	c.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}))
	for _, path := range []string{"/login?choose=yes", "/clusters/c0", "/account"} {
		var shot []byte
		c.do(chromedp.Navigate(s.issuer+path), chromedp.WaitReady("main"), chromedp.CaptureScreenshot(&shot))
		picture, err := png.Decode(bytes.NewReader(shot))
		if err != nil {
			t.Fatal(err)
		}
		counts := map[[3]uint32]int{}
		bounds := picture.Bounds()
		for y := bounds.Min.Y; y < bounds.Max.Y; y += 2 {
			for x := bounds.Min.X; x < bounds.Max.X; x += 2 {
				r, g, b, _ := picture.At(x, y).RGBA()
				counts[[3]uint32{r, g, b}]++
			}
		}
		total, most := 0, 0
		for _, n := range counts {
			total += n
			most = max(most, n)
		}
		if other := total - most; other*400 < total {
			t.Errorf("%s is blank: %d of %d points differ", path, other, total)
		}
	}
	c.do(emulation.SetEmulatedMedia())
}

// goesBack uses the button that everybody uses.
func goesBack(t *testing.T, c *chromium, s *system) {
	c.do(network.ClearBrowserCookies())
	c.look(1280, "light")
	heading := func() string { return c.eval(`document.querySelector("h1").textContent`) }
	back := func() {
		t.Helper()
		c.do(chromedp.Evaluate(`setTimeout(() => history.back(), 50); true`, nil), chromedp.Sleep(1500*time.Millisecond)) // a page may come back as it was, without being loaded
	}
	c.signIn(s.issuer+"/access", "jane@example.test")
	if got := heading(); got != "My access" {
		t.Fatalf("%s", got)
	}
	// After the sign-in: the form, which works once more, or what comes after it; no prompt.
	back()
	if got := heading(); got != "Sign in" && got != "My access" {
		t.Errorf("after the sign-in, back shows %q", got)
	}
	// After a form was sent: the page, not the form again.
	c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("main"))
	c.click(".favourite")
	c.do(chromedp.Navigate(s.issuer+"/account"), chromedp.WaitReady("main"))
	back()
	if got := heading(); got != "Clusters" {
		t.Errorf("after a form, back shows %q", got)
	}
	// After signing out nothing private is shown.
	c.do(chromedp.Navigate(s.issuer+"/account"), chromedp.WaitReady("main"))
	c.do(chromedp.Click(".who summary", chromedp.ByQuery))
	c.click(".sign-out")
	back()
	if got := c.eval(`document.body.innerText`); strings.Contains(got, "jane@example.test") || strings.Contains(got, "Second factor") {
		t.Errorf("after signing out, back shows %s", got)
	}
}

// twoTabs has a sign-in begun in two tabs, and a form that is sent twice.
func twoTabs(t *testing.T, s *system) {
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	first, second := b.Get(s.issuer+"/access"), b.Get(s.issuer+"/account")
	fields := map[string]string{"username": "jane@example.test", "password": "fairlead-demo"}
	for name, tab := range map[string]*relyingparty.Page{"My access": first, "My account": second} {
		if page := b.Submit(tab, fields); strings.TrimSpace(page.Doc.Find("h1").Text()) != name {
			t.Errorf("%s ends at %q", name, page.Doc.Find("h1").Text())
		}
	}
	if page := b.Submit(first, fields); strings.TrimSpace(page.Doc.Find("h1").Text()) != "My access" {
		t.Errorf("sent twice it ends at %q", page.Doc.Find("h1").Text())
	}
	for range 2 {
		if page := b.Post(s.issuer+"/account/devices/end", nil); page.Status >= 400 {
			t.Errorf("%d", page.Status)
		}
	}
}
