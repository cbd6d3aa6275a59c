package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
)

// adminJob is a frequent job of an admin. It starts at the overview. Typing and the Enter key do not count.
type adminJob struct {
	name string
	// most is how many clicks the job may take. Never raise it.
	most int
	do   func(c *clerk)
	// done is a text of the page that shows that the job is done.
	done string
}

// clerk is an admin whose clicks are counted.
type clerk struct {
	*operator
	clicks int
}

// hit clicks on what a selector finds, and waits for the next page.
func (c *clerk) hit(selector string) {
	c.t.Helper()
	c.clicks++
	if got := c.eval(fmt.Sprintf(`String(!!document.querySelector(%q))`, selector)); got != "true" {
		c.t.Fatalf("%s is not on the page:\n%s", selector, c.eval(`document.body.innerText`))
	}
	c.click(selector)
}

// menu opens a page with the navigation.
func (c *clerk) menu(path string) { c.t.Helper(); c.hit(`nav a[href$="/admin` + path + `"]`) }

// save presses the first button of a form.
func (c *clerk) save() { c.t.Helper(); c.hit(`button[name=do][value=save]`) }

// row opens the row of a list whose link ends like this.
func (c *clerk) row(end string) { c.t.Helper(); c.hit(`main td a[href$="` + end + `"]`) }

// rowOf opens the row of a list with this text.
func (c *clerk) rowOf(text string) {
	c.t.Helper()
	found := c.eval(fmt.Sprintf(`[...document.querySelectorAll("main td a")].find(a => a.textContent.includes(%q) || a.closest("tr").textContent.includes(%[1]q))?.getAttribute("href") ?? ""`, text))
	if found == "" {
		c.t.Fatalf("no row has %q:\n%s", text, c.eval(`document.body.innerText`))
	}
	c.hit(`main td a[href="` + found + `"]`)
}

// adminJobs are the most frequent jobs, but for watchRecording.
func adminJobs() []adminJob {
	return []adminJob{
		{"add a cluster", 3, func(c *clerk) {
			c.menu("/clusters")
			c.hit(`main a[href$="/clusters/new"]`)
			c.fill(map[string]string{"id": "lab", "server": "https://lab.example.test:6443"})
			c.save()
		}, "Saved."},
		{"give a group access", 4, func(c *clerk) {
			c.menu("/rules")
			c.hit(`main a[href$="/rules/new"]`)
			c.fill(map[string]string{"id": "ops", "description": "Operators", "who.groups": "local:ops", "clusters.ids": "lab"})
			c.save() // shows a preview first
			c.save()
		}, "Saved."},
		{"add a connector", 4, func(c *clerk) {
			c.menu("/connectors")
			c.hit(`main a[href$="/connectors/new"]`)
			c.hit(`main a[href*="type=github"]`)
			c.fill(map[string]string{"config.clientID": "x", "config.clientSecret": "y", "config.orgs[0].name": "acme"})
			c.save()
		}, "Saved."},
		{"find out why a user is refused", 2, func(c *clerk) {
			c.menu("/simulator")
			c.fill(map[string]string{"user": "local:bob@example.test"})
			c.hit(`main form button.button`)
		}, "may use 0 of 2 clusters"},
		{"end all sessions of a user", 3, func(c *clerk) {
			c.menu("/people")
			c.rowOf("bob@example.test")
			c.hit(signOutEverywhere)
		}, "Signed out."},
		{"disable a leaver", 3, func(c *clerk) {
			c.menu("/people")
			c.rowOf("bob@example.test")
			c.hit(disableUser)
		}, "Disabled."},
		{"rotate a key", 2, func(c *clerk) {
			c.menu("/keys")
			c.hit(`form[action$="/keys/rotate"] button`)
		}, "The next key starts to sign"},
		{"read what a user did", 2, func(c *clerk) {
			c.menu("/audit")
			c.fill(map[string]string{"user": "local:bob@example.test"})
			c.hit(`main form[method=get] button`)
		}, "bob@example.test"},
		{"undo a change", 3, func(c *clerk) {
			c.menu("/history")
			c.rowOf("ops")
			c.hit(`form[action$="/restore"] button`)
		}, "Restored."},
		{"invite a local user", 4, func(c *clerk) {
			c.menu("/local-users")
			c.hit(`main a[href$="/local-users/new"]`)
			c.fill(map[string]string{"login": "ann@example.test", "name": "Ann"})
			c.save()
			c.hit(`form[action$="/invite"] button`)
		}, "/invitation/"},
		{"enroll a proxy", 4, func(c *clerk) {
			c.menu("/clusters")
			c.row("/clusters/a")
			c.hit(`a[href$="/clusters/a/connect"]`)
			c.hit(`section[aria-labelledby=proxies] form button`)
		}, "fairlead-proxy serve"},
	}
}

// watchRecording is the twelfth job. TestRecordingsAreReplayed counts it, because it has a recording.
func watchRecording() adminJob {
	return adminJob{"watch a recording", 2, func(c *clerk) {
		c.menu("/recordings")
		c.rowOf("exec demo/hello")
	}, "complete and unchanged"}
}

// count does a job and counts its clicks.
func (o *operator) count(job adminJob) {
	o.t.Helper()
	c := &clerk{operator: o}
	o.open("")
	job.do(c)
	o.see(job.done)
	o.t.Logf("%-32s %d clicks", job.name, c.clicks)
	if c.clicks > job.most {
		o.t.Errorf("to %s takes %d clicks, at most %d", job.name, c.clicks, job.most)
	}
}

// The buttons on the page of a user.
const (
	signOutEverywhere = `#things + .do button`
	disableUser       = `section[aria-labelledby=off] button`
)

// TestClicksOfAdminJobs counts the clicks of the twelve most frequent jobs of an admin in a browser. The numbers
// are maximums: a new page or confirmation must not make a job longer.
func TestClicksOfAdminJobs(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("a", freeAddress(t), s.dir)+`
admins: {users: ["local:jane@example.test"]}
`)
	o := &operator{chromium: startChromium(t, s), s: s}
	o.look(1280, "light")
	o.signIn(s.issuer+"/", "bob@example.test")
	o.do(network.ClearBrowserCookies())
	o.signIn(s.issuer+"/admin", "jane@example.test")
	for _, job := range adminJobs() {
		o.count(job)
	}
}
