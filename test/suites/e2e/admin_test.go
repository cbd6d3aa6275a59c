package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

// operator is an admin at a browser: mouse and keyboard, and no file.
type operator struct {
	*chromium
	s    *system
	totp string
}

const (
	recoveryLogin    = "root"
	recoveryPassword = "seven purple boats go upstream"
)

// text waits until the page shows a text.
func (o *operator) see(what string) {
	o.t.Helper()
	eventuallySee(o.t, what, func() string { return o.eval(`document.body?.innerText ?? ""`) })
}

func eventuallySee(t *testing.T, what string, read func() string) {
	t.Helper()
	deadline := time.Now().Add(45 * time.Second)
	text := ""
	for time.Now().Before(deadline) {
		if text = read(); strings.Contains(text, what) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the page has no %q:\n%s", what, text)
}

// open goes to a page below /admin.
func (o *operator) open(path string) {
	o.t.Helper()
	o.do(chromedp.Navigate(o.s.issuer+"/admin"+path), chromedp.WaitReady("main"))
}

// fill types into fields by their names. Lists and certificates are pasted.
func (o *operator) fill(fields map[string]string) {
	o.t.Helper()
	for name, value := range fields {
		selector := fmt.Sprintf(`main [name=%q]`, name)
		if o.eval(fmt.Sprintf(`String(!!document.querySelector(%q))`, selector)) != "true" {
			o.t.Fatalf("there is no field %s:\n%s", name, o.eval(`document.body.innerText`))
		}
		// A folded section is opened first, as a user does.
		o.eval(fmt.Sprintf(`(() => { const d = document.querySelector(%q).closest("details"); if (d) d.open = true; return "" })()`, selector))
		if o.eval(fmt.Sprintf(`document.querySelector(%q).tagName`, selector)) == "SELECT" || strings.Contains(value, "\n") {
			o.eval(fmt.Sprintf(`document.querySelector(%q).value = %q`, selector, value))
			continue
		}
		o.eval(fmt.Sprintf(`document.querySelector(%q).value = ""`, selector))
		o.do(chromedp.SendKeys(selector, value, chromedp.ByQuery))
	}
}

// press presses the button with this text.
func (o *operator) press(label string) {
	o.t.Helper()
	o.clickXPath(fmt.Sprintf(`//main//button[normalize-space()=%q]`, label))
}

// follow follows the link with this text.
func (o *operator) follow(label string) {
	o.t.Helper()
	o.clickXPath(fmt.Sprintf(`//main//a[normalize-space()=%q]`, label))
}

func (o *operator) clickXPath(path string) {
	o.t.Helper()
	if _, err := chromedp.RunResponse(o.ctx, chromedp.Click(path, chromedp.BySearch)); err != nil {
		o.t.Fatalf("%s: %v\n%s", path, err, o.eval(`document.body.innerText`))
	}
}

var setupLink = regexp.MustCompile(`https://\S+/admin/setup\?token=\S+`)

// setUp makes the recovery account with the link that the server printed.
func (o *operator) setUp() {
	o.t.Helper()
	link := setupLink.FindString(o.s.server.String())
	if link == "" {
		o.t.Fatalf("no setup link:\n%s", o.s.server)
	}
	o.do(chromedp.Navigate(link), chromedp.WaitReady("main"))
	o.totp = o.eval(`document.getElementById("totp").textContent`)
	if got := o.eval(`String(document.querySelector(".qr").naturalWidth)`); got != "720" {
		o.t.Errorf("the QR code is %s pixels wide", got)
	}
	o.fill(map[string]string{"login": recoveryLogin, "password": recoveryPassword, "again": recoveryPassword, "code": o.code(0)})
	o.press("Create account and continue")
	o.see("You are signed in.")
}

func (o *operator) code(later time.Duration) string {
	o.t.Helper()
	code, err := mfa.GenerateCode(o.totp, time.Now().Add(later))
	if err != nil {
		o.t.Fatal(err)
	}
	return code
}

// addLDAP connects a real directory.
func (o *operator) addLDAP(d *slapd.Directory) {
	o.t.Helper()
	o.open("/connectors")
	o.follow("New connector")
	o.follow("LDAP or Active Directory")
	o.fill(map[string]string{
		"id": "ldap", "name": "Directory", "config.hosts": d.Plain, "config.security": "starttls", "config.ca": d.CA,
		"config.bindDN": slapd.BindDN, "config.bindPassword": slapd.BindPassword,
		"config.userSearch.baseDN": slapd.PeopleDN, "config.groupSearch.baseDN": slapd.GroupsDN, "config.groupSearch.filter": "(objectClass=groupOfNames)",
		"config.groupSearch.nestedDepth": "3",
	})
	o.press("Save draft")
	o.see("Saved.")
	o.press("Check settings")
	o.see("such as")
	o.fill(map[string]string{"lookup": "jane"})
	o.press("Look up")
	o.see("ldap:jane")
	o.press("Test sign-in")
	o.fill(map[string]string{"username": "jane", "password": slapd.Password})
	o.press("Run test sign-in")
	o.see("The sign-in worked")
	o.press("Enable")
	o.see("Users can sign in with it now.")
}

// addGitHub connects the stand-in; the test sign-in goes there and comes back.
func (o *operator) addGitHub(gh *fakegithub.Server) {
	o.t.Helper()
	o.open("/connectors/new?type=github")
	o.fill(map[string]string{
		"config.clientID": fakegithub.ClientID, "config.clientSecret": fakegithub.ClientSecret, "config.orgs[0].name": "acme", "config.host": gh.URL,
	})
	o.press("Save draft")
	o.see("Saved.")
	o.press("Check settings")
	o.see("accepted")
	o.press("Test sign-in")
	o.follow("Go to GitHub")
	o.see("The sign-in worked")
	o.press("Enable")
	o.see("Users can sign in with it now.")
}

func (o *operator) addCluster(id, address string) {
	o.t.Helper()
	o.open("/clusters/new")
	o.fill(map[string]string{
		"id": id, "name": "Cluster " + strings.ToUpper(id), "environment": "test", "color": "green", "server": "https://" + address, "ca": readFile(o.t, o.s.dir+"/ca.crt"), "labels": "env=test",
	})
	o.press("Save")
	o.see("Saved.")
}

// TestAdminFromNothing goes from an empty database to kubectl on two clusters
// through a directory and GitHub, in a browser and without touching a file.
func TestAdminFromNothing(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	d := slapd.Start(t)
	s := prepare(t, p)
	gh := fakegithub.Start(t, s.issuer+"/callback/github")
	gh.Set(fakegithub.Account{
		ID: 4711, Login: "jane", Name: "Jane Doe", Emails: []fakegithub.Email{{Email: "jane@example.test", Primary: true, Verified: true}},
		Orgs: []string{"acme"}, Teams: []string{"acme/platform"},
	})
	one, two := freeAddress(t), freeAddress(t)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "")
	o := &operator{chromium: startChromium(t, s), s: s}
	o.setUp()
	o.addLDAP(d)
	o.addGitHub(gh)
	o.addCluster("one", one)
	o.addCluster("two", two)
	o.open("/rules/new")
	o.fill(map[string]string{
		"id": "developers", "description": "Developers use the test clusters", "who.groups": "ldap:developers\ngithub:acme:platform", "clusters.labels": "env=test",
	})
	o.press("Preview")
	o.see("No user who has signed in gains or loses access.")
	o.press("Save")
	o.see("Saved.")
	o.open("/simulator?groups=ldap:developers")
	o.see("may use 2 of 2 clusters")

	s.startKube(t, nil)
	s.startProxy(t, "one", one, "")
	s.startProxy(t, "two", two, "")
	o.open("/clusters/one/connect")
	o.press("Check now")
	o.see("Reachable")
	u, err := url.Parse(gh.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, as := range []credentials{
		{Credentials: relyingparty.Credentials{Connector: "Directory", Username: "jane", Password: slapd.Password}},
		{Credentials: relyingparty.Credentials{Connector: "GitHub"}, Elsewhere: u.Host},
	} {
		me := s.person(t, as)
		if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
			t.Fatalf("%s: %+v\n%s", as.Connector, r, me.browserFault())
		}
		for _, cluster := range []string{"one", "two"} {
			if got := me.kubectl("auth", "whoami", "--context", cluster); !strings.Contains(got, ":jane") {
				t.Errorf("%s on %s: %s", as.Connector, cluster, got)
			}
		}
	}
	// With every connector down there is still a way in.
	d.Stop()
	gh.Close()
	o.recoverAgain()
	o.seesPaths()
	// The audit log's live view shows an event without a reload.
	o.open("/audit?live=yes")
	o.see("New events appear by themselves.")
	o.s.operate(o.t, "user", "disable", "ldap:jane")
	o.see("disabled ldap:jane")
	o.s.operate(o.t, "user", "enable", "ldap:jane")
	o.auditAll(readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js"))
}

// seesPaths moves the mouse over a group of the access map: its paths stand out.
func (o *operator) seesPaths() {
	o.t.Helper()
	o.open("/access-map")
	o.do(chromedp.ScrollIntoView("[data-node='0']", chromedp.ByQuery), chromedp.ActionFunc(func(ctx context.Context) error {
		var at [2]float64
		if err := chromedp.Evaluate(`(() => { const r = document.querySelector("[data-node='0']").getBoundingClientRect(); return [r.x + 5, r.y + 5] })()`, &at).Do(ctx); err != nil {
			return err
		}
		return input.DispatchMouseEvent(input.MouseMoved, at[0], at[1]).Do(ctx)
	}))
	if got := o.eval(`[...document.querySelectorAll(".flow .lit")].map(e => e.dataset.node ?? e.dataset.edge).join()`); got != "0,0 2,2,2 3,2 4,3,4" {
		o.t.Errorf("these parts of the map stand out: %s", got)
	}
}

// recoverAgain signs in with the recovery account. A code is good once.
func (o *operator) recoverAgain() {
	o.t.Helper()
	o.do(network.ClearBrowserCookies())
	o.open("/recover")
	o.fill(map[string]string{"login": recoveryLogin, "password": recoveryPassword, "code": "000000"})
	o.press("Sign in")
	o.see("the name, the password or the code is wrong")
	o.fill(map[string]string{"login": recoveryLogin, "password": recoveryPassword, "code": o.code(30 * time.Second)})
	o.press("Sign in")
	o.see("Overview")
}

// state looks at the page that is shown, in every look: it came from a form, so it
// can't be loaded again.
func (o *operator) state(name, axe string) {
	o.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			o.look(width, scheme)
			if got := o.eval(`String(document.documentElement.scrollWidth)`); got > fmt.Sprint(width) && len(got) >= len(fmt.Sprint(width)) {
				o.t.Errorf("%s %s %d: %s pixels wide", name, scheme, width, got)
			}
			o.do(chromedp.Evaluate(unstick, nil), chromedp.Evaluate(axe, nil))
			if got := o.eval(`axe.run().then(r => JSON.stringify([...r.violations, ...r.incomplete].map(v => v.id + ": " + v.nodes.map(n => n.target).join(" "))))`); got != "[]" {
				o.t.Errorf("%s %s %d: axe: %s", name, scheme, width, got)
			}
			o.shoot("state-"+name, scheme, width)
		}
	}
}

// auditStates goes through what forms lead to.
func (o *operator) auditStates(axe string, budget int) {
	o.t.Helper()
	o.look(1280, "light")
	o.open("/clusters/new")
	o.fill(map[string]string{"id": "Not An Id", "server": "http://plain.example.test", "tokenLife": "9h"})
	o.press("Save")
	o.see("Not saved.")
	o.state("errors", axe)
	o.look(1280, "light")
	o.open("/connectors/ldap")
	o.press("Check settings")
	o.see("Result of the check")
	o.state("check", axe)
	o.look(1280, "light")
	o.open("/rules/developers")
	o.fill(map[string]string{"who.groups": "ldap:nobody"})
	o.press("Preview")
	o.see("If you save")
	o.state("preview", axe)
	o.look(1280, "light")
	o.open("/clients/new?preset=grafana")
	o.press("Save")
	o.see("this page shows it only once")
	o.state("secret", axe)
	o.audit("admin-client", o.s.issuer+"/admin/clients/grafana", axe, budget)
	o.look(1280, "light")
	o.open("/transfer")
	o.fill(map[string]string{"text": "clusters:\n- {id: three, server: \"https://three.test\"}\n- {id: four, server: \"http://four.test\"}\n"})
	o.press("Preview import")
	o.see("skipped")
	o.state("import", axe)
	o.look(1280, "light")
	o.open("/general/branding")
	o.fill(map[string]string{"brand": "Acme Kubernetes", "color": "#ffee00"})
	o.press("Save")
	o.see("must be readable on a light page")
	o.fill(map[string]string{"color": "#7a1fa2", "colorDark": "#e0a8f5", "logo": "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>\n<rect width='32' height='32' rx='8' fill='#7a1fa2'/></svg>"})
	o.press("Save")
	o.see("Saved.")
	o.state("branded", axe)
	o.look(1280, "light")
	o.open("/clusters/one/connect")
	o.see("connected")
	o.press("Create enrolment code")
	o.see("--enrol")
	o.state("enrolment", axe)
	o.look(1280, "light")
	o.open("/tokens/new")
	o.fill(map[string]string{"name": "ci"})
	o.press("Create token")
	o.see("The token has no scopes. Choose at least one.")
	o.state("token-error", axe)
	o.look(1280, "light")
	o.open("/connectors/github/delete")
	o.fill(map[string]string{"confirm": "wrong"})
	o.press("Delete")
	o.see("Type the ID to confirm.")
	o.state("delete", axe)
}

// auditAll looks at every admin page.
func (o *operator) auditAll(axe string) {
	o.t.Helper()
	const budget = 120 << 10
	o.audit("admin-claims", o.s.issuer+"/admin/claims?user=ldap:jane&cluster=one", axe, budget)
	o.audit("admin-simulator-answer", o.s.issuer+"/admin/simulator?groups=ldap:nobody", axe, budget)
	for name, path := range map[string]string{
		"overview": "", "connectors": "/connectors", "types": "/connectors/new", "connector": "/connectors/ldap", "connector-new": "/connectors/new?type=microsoft",
		"connector-delete": "/connectors/ldap/delete", "clusters": "/clusters", "cluster": "/clusters/one", "connect": "/clusters/one/connect", "cluster-new": "/clusters/new",
		"rules": "/rules", "rule": "/rules/developers", "people": "/people", "local-users": "/local-users", "local-user-new": "/local-users/new",
		"clients": "/clients", "client-new": "/clients/new?preset=grafana", "issuers": "/trusted-issuers/new", "workloads": "/workloads/new", "keys": "/keys", "audit-log": "/audit",
		"history": "/history", "transfer": "/transfer", "tokens": "/tokens", "token-new": "/tokens/new", "groups": "/groups", "search": "/search?q=one", "recovery": "/recovery", "diagnostics": "/diagnostics", "recover": "/recover",
		"simulator": "/simulator", "map": "/access-map", "general": "/general", "sessions": "/general/sessions", "branding": "/general/branding",
	} {
		o.audit("admin-"+name, o.s.issuer+"/admin"+path, axe, budget)
	}
	o.auditStates(axe, budget)
	for name, link := range map[string]string{"person": "/people", "revision": "/history", "key": "/keys"} {
		o.open(link)
		o.audit("admin-"+name, o.eval(`document.querySelector("main td a").href`), axe, budget)
	}
}
