package drills_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

// guesser posts passwords, from whatever address it likes: the server believes
// the drill's word for that, as it believes its load balancer.
type guesser struct {
	t      *testing.T
	client *http.Client
	action string
	flow   string
}

func newGuesser(t *testing.T, n *node) *guesser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guesser{t: t, action: n.address + "/login/local", client: &http.Client{
		Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	resp, err := g.client.Get(g.action)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if g.flow = doc.Find("input[name=flow]").AttrOr("value", ""); g.flow == "" {
		t.Fatal("no password form")
	}
	return g
}

// try answers the status, and how long to wait.
func (g *guesser) try(user, password, address string) (code int, retryAfter string) {
	form := url.Values{"flow": {g.flow}, "username": {user}, "password": {password}}
	req, err := http.NewRequest(http.MethodPost, g.action, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("X-Forwarded-For", address)
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, ""
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

// pace is the time between tries: slow enough not to be noticed as a flood of packets. Faster, this machine
// measures its own load.
const pace = 4 * time.Millisecond

// flood tries n passwords, four at a time.
func flood(t *testing.T, n *node, count int, guess func(i int) (user, address string)) *tally {
	t.Helper()
	result := newTally()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		g := newGuesser(t, n)
		wg.Go(func() {
			for i := int(next.Add(1)); i <= count; i = int(next.Add(1)) {
				time.Sleep(4 * pace)
				user, address := guess(i)
				code, _ := g.try(user, fmt.Sprint("wrong-password-", i), address)
				result.add(fmt.Sprint(code), "")
			}
		})
	}
	wg.Wait()
	return result
}

// TestBruteForce guesses one account from many addresses, and many accounts from
// one, with the limits as they are by default. Both are limited; the real person
// is not kept out of a browser that is known; devices go on refreshing.
func TestBruteForce(t *testing.T) { //nolint:paralleltest // it measures time
	count := 600
	if *long {
		count = 10_000
	}
	node := startNodes(t, 1, fmt.Sprintf("{driver: sqlite, path: %s/db}", t.TempDir()), extras{settings: "trustedProxies: [127.0.0.1/32]"})[0]
	home := newGuesser(t, node)
	if code, _ := home.try("user0", drillPassword, "192.0.2.200"); code != http.StatusSeeOther {
		t.Fatalf("the real person: %d", code)
	}
	devices := []*session{signInAt(t, node, 10), signInAt(t, node, 11)}
	calm := latency(t, node, devices, func() { wait(2*time.Second, 20*time.Second) })
	var many, one *tally
	stormy := latency(t, node, devices, func() {
		many = flood(t, node, count, func(i int) (string, string) { return "user0", fmt.Sprintf("198.51.%d.%d", i/250%250, i%250) })
		// Her own browser is not kept out, however much is guessed elsewhere.
		if code, _ := home.try("user0", drillPassword, "192.0.2.200"); code != http.StatusSeeOther {
			t.Errorf("the real person, in her own browser: %d", code)
		}
		one = flood(t, node, count, func(i int) (string, string) { return fmt.Sprint("user", i%1000), "203.0.113.7" })
	})
	t.Logf("one account from many addresses: %s; many accounts from one address: %s", many, one)
	t.Logf("refresh p99: %v calm, %v under attack (%.2f ×)", calm, stormy, float64(stormy)/float64(calm))
	for name, tc := range map[string]struct {
		got  *tally
		most int
	}{"one account": {many, 100}, "one address": {one, 300}} {
		if checked := tc.got.get("401"); checked != tc.most || tc.got.get("429") != count-tc.most {
			t.Errorf("%s: %s; %d may be checked", name, tc.got, tc.most)
		}
	}
}

// TestLockoutEndsByItself keeps a user out of a new browser while an attacker guesses, and no longer than the
// setting.
func TestLockoutEndsByItself(t *testing.T) { //nolint:paralleltest // each drill wants the machine for itself
	// Longer than the guesses take on a busy machine: older ones no longer count.
	const window = 14 * time.Second
	node := startNodes(t, 1, fmt.Sprintf("{driver: sqlite, path: %s/db}", t.TempDir()), extras{settings: "trustedProxies: [127.0.0.1/32]", window: window})[0]
	flood(t, node, 101, func(i int) (string, string) { return "user0", fmt.Sprintf("198.18.%d.%d", i/250, i%250) })
	strange := newGuesser(t, node)
	code, retry := strange.try("user0", drillPassword, "192.0.2.201")
	seconds, err := strconv.Atoi(retry)
	if code != http.StatusTooManyRequests || err != nil || time.Duration(seconds)*time.Second > window+time.Second {
		t.Fatalf("in a strange browser during the attack: %d, wait %q", code, retry)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	if code, _ := strange.try("user0", drillPassword, "192.0.2.201"); code != http.StatusSeeOther {
		t.Errorf("after the wait: %d", code)
	}
}

// latency is the 99th percentile of refreshes while something goes on.
func latency(t *testing.T, n *node, devices []*session, while func()) time.Duration {
	t.Helper()
	over := make(chan struct{})
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for _, s := range devices {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(20 * time.Millisecond):
				}
				began := time.Now()
				got := refreshAt(n.address, s.token)
				if got.status != http.StatusOK {
					t.Errorf("a device is in the way of an attack: %d %s", got.status, got.raw)
					return
				}
				s.token = got.refresh
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	while()
	close(over)
	wg.Wait()
	slices.Sort(took)
	if len(took) == 0 {
		t.Fatal("no refresh at all")
	}
	return took[len(took)*99/100]
}

// TestDeadUpstream lets a directory hang, and then be gone. Its people keep what
// they have; everybody else notices nothing.
func TestDeadUpstream(t *testing.T) { //nolint:paralleltest // each drill wants the machine for itself
	d := slapd.Start(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"ca": d.CA, "bind": slapd.BindPassword} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nodes := startNodes(t, 1, fmt.Sprintf("{driver: sqlite, path: %s/db, maxConnections: 1}", dir), extras{
		settings: "upstream: {maxAge: 1ms}",
		connectors: fmt.Sprintf(`- {id: corp, type: ldap, name: Directory, config: {hosts: ["%s"], security: starttls, ca: "file:%[2]s/ca", timeoutSeconds: 1,
    bindDN: "%[3]s", bindPassword: "file:%[2]s/bind", userSearch: {baseDN: "%[4]s"}}}
`, d.Plain, dir, slapd.BindDN, slapd.PeopleDN),
	})
	theirs := signInAs(t, nodes[0], relyingparty.Credentials{Connector: "Directory", Username: "jane", Password: slapd.Password})
	l := startLoad(t, nodes, 10)
	l.everybodyWorks(t, "before")
	refresh := func(what string) {
		t.Helper()
		began := time.Now()
		got := refreshAt(nodes[0].address, theirs.token)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", what, got.status, got.raw)
		}
		theirs.token = got.refresh
		t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
	}
	refresh("a directory that answers")
	d.Pause()
	var wg sync.WaitGroup
	wg.Go(func() { refresh("a directory that hangs") })
	l.everybodyWorks(t, "while the directory hangs")
	wg.Wait()
	d.Unpause()
	refresh("a directory that answers again")
	d.Stop()
	refresh("a directory that is gone")
	l.everybodyWorks(t, "while the directory is gone")
	l.stop(t)
	if l.result.get("unavailable")+l.result.get("no answer") > 0 {
		t.Errorf("others noticed: %s", l.result)
	}
}
