package e2e_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// plainWords lists what a page says, or reads out, that is in no catalogue: outside of the
// brackets that the pseudo language has around every text. Code is not to be translated.
const plainWords = `(() => {
  const said = [];
  const outside = (text) => {
    let depth = 0, rest = "";
    for (const letter of text) {
      if (letter === "⟦") depth++;
      if (depth === 0) rest += letter;
      if (letter === "⟧") depth--;
    }
    for (const word of rest.match(/[A-Za-z]{2,}/g) || []) said.push(word);
  };
  const copy = document.documentElement.cloneNode(true);
  for (const e of copy.querySelectorAll("code, pre, kbd, time, script, input[type=hidden], .languages")) e.remove();
  const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  let all = "";
  while (texts.nextNode()) all += texts.currentNode.data + " ";
  outside(all);
  for (const e of copy.querySelectorAll("[aria-label], [title], [alt], [placeholder], [data-label]"))
    for (const name of ["aria-label", "title", "alt", "placeholder", "data-label"]) outside(e.getAttribute(name) || "");
  return JSON.stringify([...new Set(said)]);
})()`

// dataWords are in no catalogue because they are names: of clusters, people, groups, rules,
// browsers, the installation, and units.
const dataWords = `
Fairlead fairlead dev devel UTC GitHub Local users local developers jane doe Jane Doe JD example test Example bob Bob platform Chrome Linux on MB Linux macOS Windows amd SHA
Production Europe US production Shop and payments Frankfurt Virginia Staging staging What is released next Development development Every team has a namespace
Data Batch jobs notebooks Edge Tokyo Caches Paulo Sandbox with rather long name that must wrap somewhere For tests Right to left Developers may use every cluster
kubectl laptop UID JTI BCDF GHJK Wiki wiki https callback Chromium HeadlessChrome ARM Apple silicon Intel Actions GitLab CI Terraform Argo CD more system authenticated
`

// TestLanguages reads every page for users in a pseudo-language: each text comes from the catalogue. And as a
// German: it fits on a phone.
func TestLanguages(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	s := prepare(t, p)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), manyClusters(t, s.dir))
	c := startChromium(t, s)
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access"}
	_, challenge := relyingparty.PKCE()
	authorize := plugin.AuthURL(challenge, url.Values{"fairlead_host": {"jane-laptop"}})
	names := strings.Fields(dataWords)
	read := func(name string) {
		t.Helper()
		c.reads("en-XA")
		c.do(chromedp.Reload(), chromedp.WaitReady("main"))
		c.shoot("pseudo-"+name, "light", 1280)
		var plain []string
		if err := json.Unmarshal([]byte(c.eval(plainWords)), &plain); err != nil {
			t.Fatal(err)
		}
		plain = slices.DeleteFunc(plain, func(word string) bool { return slices.Contains(names, word) })
		if len(plain) > 0 {
			t.Errorf("%s says, in no catalogue: %q", name, plain)
		}
		c.reads("de-AT")
		for _, width := range []int64{320, 1280} {
			c.look(width, "light")
			c.do(chromedp.Reload(), chromedp.WaitReady("main"))
			if got, err := strconv.ParseInt(c.eval(`String(document.documentElement.scrollWidth)`), 10, 64); err != nil || got > width {
				t.Errorf("%s in German: %d pixels wide at %d, error %v", name, got, width, err)
			}
			c.shoot("german-"+name, "light", width)
		}
		if got := c.eval("document.documentElement.lang"); got != "de" {
			t.Errorf("%s is in %s", name, got)
		}
		c.do(chromedp.Evaluate(axe, nil))
		if got := c.eval(`axe.run().then(r => JSON.stringify(r.violations.map(v => v.id)))`); got != "[]" {
			t.Errorf("%s in German: axe: %s", name, got)
		}
	}
	visit := func(name, address string) {
		t.Helper()
		c.do(chromedp.Navigate(address), chromedp.WaitReady("main"))
		read(name)
	}
	visit("sign-in", authorize)
	visit("password", s.issuer+"/login/local")
	visit("not-found", s.issuer+"/nowhere")
	visit("signed-out", s.issuer+"/signed-out")
	visit("help", s.issuer+"/help")
	visit("device", s.issuer+"/device")
	c.do(network.ClearBrowserCookies())
	c.reads("en")
	c.signIn(s.issuer+"/", "bob@example.test")
	visit("empty", s.issuer+"/")
	visit("access-empty", s.issuer+"/access?cluster=c0")
	c.do(network.ClearBrowserCookies())
	c.reads("en")
	c.signIn(s.issuer+"/", "jane@example.test")
	signInDevice(t, s)
	for name, path := range map[string]string{
		"clusters": "/", "nothing-found": "/?q=zzz", "none-chosen": "/?none=chosen", "cluster": "/clusters/c0", "account": "/account", "new-factor": "/account?factor=new",
		"workloads": "/workloads", "access": "/access?cluster=payments", "access-have": "/access?cluster=c0", "sign-out": "/sign-out", "no-cluster": "/clusters/nope",
	} {
		visit(name, s.issuer+path)
	}
	visit("confirm", authorize)
	t.Run("choose", func(t *testing.T) { choosesALanguage(t, c, s) })
}

// reads sets what language the browser asks for.
func (c *chromium) reads(tag string) {
	c.t.Helper()
	c.do(network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": tag}))
}

// choosesALanguage takes another one than the browser asks for, and comes back to the page.
func choosesALanguage(t *testing.T, c *chromium, s *system) {
	c.reads("de")
	c.do(chromedp.Navigate(s.issuer+"/access?cluster=c0"), chromedp.WaitReady("main"))
	c.do(chromedp.Click(".who summary", chromedp.ByQuery))
	c.click(`.languages button[value=en]`)
	c.do(chromedp.WaitReady("main"))
	if got := c.eval("document.documentElement.lang + ' ' + location.pathname + location.search"); got != "en /access?cluster=c0" {
		t.Errorf("%s", got)
	}
	if got := c.eval("document.querySelector('.languages [aria-current]').value"); got != "en" {
		t.Errorf("%s is marked", got)
	}
	c.do(chromedp.Navigate(s.issuer+"/account"), chromedp.WaitReady("main"))
	if got := c.eval("document.documentElement.lang"); got != "en" {
		t.Errorf("the choice is forgotten: %s", got)
	}
	// The pages for admins are in English, and say so.
	c.do(chromedp.Navigate(s.issuer+"/admin"), chromedp.WaitReady("main"))
	if got := c.eval("document.documentElement.lang"); got != "en" {
		t.Errorf("%s", got)
	}
}
