package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// typist is a user who has a keyboard and no mouse.
type typist struct{ *chromium }

// testKeyboard uses the pages with keys alone. The sign-in is jane's, who is an admin; she stays signed in.
func testKeyboard(t *testing.T, k *typist, s *system, axe string) {
	t.Helper()
	k.look(1280, "light")
	for _, part := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"skip link", func(t *testing.T) { k.skipsToTheContent(t, s) }},
		{"landing page", func(t *testing.T) { k.opensClusters(t, s) }},
		{"menus and dialogs", func(t *testing.T) { k.opensMenus(t, s, axe) }},
		{"tabs", func(t *testing.T) { k.switchesTabs(t, s) }},
		{"admin list", func(t *testing.T) { k.disablesBob(t, s, axe) }},
		{"sign-in", func(t *testing.T) { k.signsInAsKim(t, s) }},
	} {
		t.Run(part.name, func(t *testing.T) {
			outer := k.t
			k.t = t
			defer func() { k.t = outer }()
			part.test(t)
		})
	}
}

// open goes to a page, as a bookmark does.
func (k *typist) open(address string) {
	k.t.Helper()
	k.do(chromedp.Navigate(address), chromedp.WaitReady("main"))
}

// press types keys one after the other. Each is one event, as from a keyboard: a script that handles the key
// keeps its character out of the field.
func (k *typist) press(keys ...string) {
	k.t.Helper()
	for _, r := range strings.Join(keys, "") {
		k.do(keystroke(r)...)
	}
}

func keystroke(r rune) []chromedp.Action {
	var actions []chromedp.Action
	events := kb.Encode(r)
	for _, event := range events {
		if event.Type != input.KeyChar {
			actions = append(actions, event)
			continue
		}
		events[0].Text, events[0].UnmodifiedText = event.Text, event.UnmodifiedText
	}
	return actions
}

// shiftTab goes one stop back.
func (k *typist) shiftTab() {
	k.t.Helper()
	k.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(input.ModifierShift)))
}

// follow presses a key and waits for the page that it leads to.
func (k *typist) follow(key string) {
	k.t.Helper()
	if _, err := chromedp.RunResponse(k.ctx, keystroke([]rune(key)[0])...); err != nil {
		k.t.Fatalf("%q on %s leads nowhere: %v", key, k.focused(), err)
	}
	k.do(chromedp.WaitReady("main"))
}

// focused describes the element that has the focus.
func (k *typist) focused() string {
	k.t.Helper()
	return k.eval(`document.activeElement.outerHTML.slice(0, 160)`)
}

// wantFocus fails unless the element of a selector has the focus.
func (k *typist) wantFocus(selector string) {
	k.t.Helper()
	if k.eval(fmt.Sprintf(`String(document.activeElement.matches(%q))`, selector)) != "true" {
		k.t.Fatalf("the focus is on %s, want %s:\n%s", k.focused(), selector, k.eval(`location.href + document.body.innerText`))
	}
}

// visibleFocus tells what is wrong with the focus that the user sees: WCAG 2.4.7 and 2.4.11. A row shows the
// focus of its link, and a tab that of its radio button.
const visibleFocus = `(() => {
	const focus = document.activeElement;
	if (focus === document.body) return "";
	const shown = focus.matches(".row-link") ? focus.closest("tr, li") : focus.matches(".tabset > input") ? focus.nextElementSibling : focus;
	const { outlineStyle, outlineWidth } = getComputedStyle(shown);
	if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) return "has no outline";
	const box = shown.getBoundingClientRect();
	return box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth ? "" : "is outside of the window";
})()`

// tabTo presses Tab until the element of a selector has the focus. Each stop on the way must be seen.
func (k *typist) tabTo(selector string) {
	k.t.Helper()
	for range 120 {
		k.press(kb.Tab)
		if fault := k.eval(visibleFocus); fault != "" {
			k.t.Errorf("the focus on %s %s", k.focused(), fault)
		}
		if k.eval(fmt.Sprintf(`String(document.activeElement.matches(%q))`, selector)) == "true" {
			return
		}
	}
	k.t.Fatalf("Tab does not reach %s; the focus is on %s", selector, k.focused())
}

// passesAxe checks the page with what is open. A menu covers a part of the page, which axe cannot judge then.
func (k *typist) passesAxe(what, axe string) {
	k.t.Helper()
	k.do(chromedp.Evaluate(unstick, nil), chromedp.Evaluate(axe, nil))
	if got := k.eval(`axe.run().then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.target).join(" "))))`); got != "[]" {
		k.t.Errorf("%s: axe: %s", what, got)
	}
}

func (k *typist) skipsToTheContent(t *testing.T, s *system) {
	t.Helper()
	k.open(s.issuer + "/")
	k.press(kb.Tab)
	k.wantFocus(".skip")
	if got := k.eval(`getComputedStyle(document.activeElement).outlineWidth`); got != "3px" {
		t.Errorf("the outline is %s wide", got)
	}
	k.press(kb.Enter, kb.Tab)
	if got := k.eval(`String(document.querySelector("main").contains(document.activeElement))`); got != "true" {
		t.Errorf("the stop after the link is %s", k.focused())
	}
}

// opensClusters moves through the landing page with arrows, and opens a cluster with Enter.
func (k *typist) opensClusters(t *testing.T, s *system) {
	t.Helper()
	k.open(s.issuer + "/")
	k.press("/")
	k.wantFocus("#find")
	k.press(kb.ArrowDown)
	k.wantFocus("#clusters tbody tr:nth-child(1) .cluster-name")
	k.press(kb.ArrowDown, kb.ArrowDown, kb.ArrowUp)
	k.wantFocus("#clusters tbody tr:nth-child(2) .cluster-name")
	if fault := k.eval(visibleFocus); fault != "" {
		t.Errorf("the focus on %s %s", k.focused(), fault)
	}
	k.press(kb.ArrowUp, kb.ArrowUp)
	k.wantFocus("#q")
	k.press("edge")
	if got := k.eval(`document.getElementById("filter-status").textContent`); got != "2 of 9 shown" {
		t.Errorf("the filter says %q", got)
	}
	k.press(kb.Escape)
	k.wantFocus("#q")
	if got := k.eval(`document.getElementById("q").value + [...document.querySelectorAll("#clusters tbody tr")].filter(row => !row.hidden).length`); got != "9" {
		t.Errorf("Esc leaves %q", got)
	}
	k.press(kb.Escape)
	k.wantFocus("body")
	k.press("/", kb.Escape)
	k.wantFocus("body")
	k.press("/", kb.ArrowDown)
	k.follow(kb.Enter)
	if got := k.eval(`location.pathname`); !strings.HasPrefix(got, "/clusters/") {
		t.Errorf("Enter opens %s", got)
	}
}

// opensMenus opens each menu and dialog of the frame, and closes it with Esc: the focus returns to the opener.
func (k *typist) opensMenus(t *testing.T, s *system, axe string) {
	t.Helper()
	k.open(s.issuer + "/")
	k.tabTo(".who > summary")
	k.press(kb.Enter)
	k.passesAxe("account menu", axe)
	k.tabTo(".menu [data-shortcuts]")
	k.press(kb.Escape)
	k.wantFocus(".who > summary")
	if got := k.eval(`String(document.querySelector(".who").open)`); got != "false" {
		t.Error("Esc leaves the account menu open")
	}
	k.press(kb.Enter)
	k.tabTo(".sign-out")
	k.press(kb.Tab)
	if got := k.eval(`String(document.querySelector(".who").open)`); got != "false" {
		t.Error("the account menu stays open when the focus leaves it")
	}
	k.shiftTab()
	k.wantFocus(".who > summary")

	k.press(kb.Enter)
	k.tabTo(".menu [data-shortcuts]")
	k.press(kb.Enter)
	k.staysInTheDialog(t)
	k.passesAxe("shortcuts dialog", axe)
	k.press(kb.Escape)
	k.wantFocus(".menu [data-shortcuts]")

	k.open(s.issuer + "/clusters/c0")
	k.tabTo(".areas a[href$='/help']")
	k.press("?")
	k.staysInTheDialog(t)
	k.tabTo("#single-keys")
	k.press(" ")
	k.tabTo("dialog button")
	k.press(kb.Enter)
	k.wantFocus(".areas a[href$='/help']")
	k.press("?")
	if got := k.eval(`String(document.getElementById("shortcuts").open)`); got != "false" {
		t.Error("? opens the dialog although single keys are switched off")
	}
	k.eval(`localStorage.clear(), ""`)

	k.press("/", "edge")
	k.follow(kb.Enter)
	k.passesAxe("search", axe)
	k.press("/", kb.ArrowDown)
	k.wantFocus(".hits .row-link")
	k.follow(kb.Enter)
	if got := k.eval(`location.pathname`); !strings.HasPrefix(got, "/admin/") {
		t.Errorf("the first match leads to %s", got)
	}
}

// staysInTheDialog presses Tab more often than the dialog has stops. The browser's own controls count as
// the body of the page.
func (k *typist) staysInTheDialog(t *testing.T) {
	t.Helper()
	for range 8 {
		k.press(kb.Tab)
		if got := k.eval(`String(!!document.activeElement.closest("dialog[open]") || document.activeElement === document.body)`); got != "true" {
			t.Fatalf("the focus leaves the dialog for %s", k.focused())
		}
	}
	k.press("/", kb.ArrowDown) // shortcuts of the page below do nothing
	if got := k.eval(`String(!!document.activeElement.closest("dialog[open]") || document.activeElement === document.body)`); got != "true" {
		t.Errorf("a shortcut moves the focus to %s", k.focused())
	}
}

// switchesTabs uses the tabs of a cluster's page, which are radio buttons: Tab reaches the chosen one, arrows
// choose another, and the next Tab goes into its panel.
func (k *typist) switchesTabs(t *testing.T, s *system) {
	t.Helper()
	k.open(s.issuer + "/clusters/c0")
	k.tabTo("#way-kubectl")
	k.press(kb.ArrowRight, kb.ArrowRight)
	k.wantFocus("#way-download")
	if fault := k.eval(visibleFocus); fault != "" {
		t.Errorf("the focus on %s %s", k.focused(), fault)
	}
	if got := k.eval(`[...document.querySelectorAll(".tabset-panel")].filter(panel => panel.checkVisibility()).map(panel => panel.previousElementSibling.htmlFor).join()`); got != "way-download" {
		t.Errorf("shown: %s", got)
	}
	k.press(kb.Tab)
	k.wantFocus("#way-download + label + .tabset-panel a")
	k.shiftTab()
	k.wantFocus("#way-download")
	k.press(kb.ArrowLeft)
	k.wantFocus("#way-kubelogin")
}

// disablesBob finds a user in an admin list, and disables and enables them with a bulk act.
func (k *typist) disablesBob(t *testing.T, s *system, axe string) {
	t.Helper()
	k.open(s.issuer + "/admin/people")
	k.tabTo("th[aria-sort] a")
	k.follow(kb.Enter)
	k.tabTo("th[aria-sort=ascending] a")
	k.follow(kb.Enter)
	k.tabTo("th[aria-sort=descending] a")
	k.open(s.issuer + "/admin/people?q=jane") // a short list shows its filter only when one is set
	k.tabTo("#q")
	k.press("bob@")
	k.follow(kb.Enter)
	k.chooseBob(t, "disable", axe)
	k.follow(kb.Escape)
	k.chooseBob(t, "disable", axe)
	k.tabTo("#reason")
	k.press("left", kb.Escape)
	k.wantFocus("#reason")
	k.tabTo("main form button[type=submit]")
	k.follow(kb.Enter)
	k.sees("Disabled")
	k.open(s.issuer + "/admin/people?q=bob@&state=disabled")
	k.chooseBob(t, "enable", axe)
	k.tabTo("main form button[type=submit]")
	k.follow(kb.Enter)
}

// chooseBob selects the one row of the list and asks for an act.
func (k *typist) chooseBob(t *testing.T, act, axe string) {
	t.Helper()
	k.tabTo("td.pick input")
	k.press(" ")
	if got := k.eval(`document.querySelector("[data-selected]").textContent`); got != "1 selected:" {
		t.Errorf("the list says %q", got)
	}
	k.tabTo("button[name=act][value=" + act + "]")
	k.follow(kb.Enter)
	k.sees("bob@example.test")
	k.passesAxe(act, axe)
}

// signsInAsKim signs in a user who is no admin: / leads to the search of the landing page.
func (k *typist) signsInAsKim(t *testing.T, s *system) {
	t.Helper()
	k.do(network.ClearBrowserCookies())
	k.open(s.issuer + "/")
	k.tabTo("a[href*='/login/local']")
	k.follow(kb.Enter)
	k.wantFocus("#username")
	k.press("kim@example.test", kb.Tab)
	k.wantFocus("#password")
	k.press("fairlead-demo")
	k.follow(kb.Enter)
	k.press("/")
	k.wantFocus("#q")
	k.press("tok", kb.ArrowDown)
	k.wantFocus(".cluster-name")
	k.follow(kb.Enter)
	k.sees("Edge Tokyo")
}
