package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter stands between the plugin and the server and counts.
type counter struct {
	total, authorizations, refreshes, inFlight, worst, denials atomic.Int64
}

func (c *counter) handler(target *url.URL, transport http.RoundTripper) http.Handler {
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}, ModifyResponse: func(resp *http.Response) error {
		if resp.Request.URL.Path == "/token" && resp.StatusCode != http.StatusOK {
			c.denials.Add(1)
		}
		return nil
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.total.Add(1)
		switch r.URL.Path {
		case "/authorize":
			c.authorizations.Add(1)
		case "/token":
			body := peek(r)
			if strings.Contains(body, "grant_type=refresh_token") {
				c.refreshes.Add(1)
				for now, worst := c.inFlight.Add(1), c.worst.Load(); now > worst && !c.worst.CompareAndSwap(worst, now); worst = c.worst.Load() {
				}
				defer c.inFlight.Add(-1)
			}
		}
		proxy.ServeHTTP(w, r)
	})
}

// TestStorm is k9s, an IDE and two hundred kubectl after a night: one sign-in at
// most, one refresh at a time, no error.
func TestStorm(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	s, c := behindCounter(t, p)
	me := s.person(t, jane())

	// 1. Nothing is cached: one browser tab for all, whatever cluster they are for.
	storm(t, me, 200, fleetOf20()...)
	if me.tabs() != 1 || c.authorizations.Load() != 1 {
		t.Errorf("%d tabs, %d authorizations, want one\n%s", me.tabs(), c.authorizations.Load(), me.browserFault())
	}
	// A token that is still good is printed without a word to anybody.
	before := c.total.Load()
	storm(t, me, 20, "a")
	if got := c.total.Load() - before; got != 0 {
		t.Errorf("%d requests for tokens that were there", got)
	}
	// 2. Tokens and access token are over: at most one refresh in flight.
	me.expireTokens()
	storm(t, me, 200, fleetOf20()...)
	if got := c.refreshes.Load(); got != 1 || c.worst.Load() > 1 {
		t.Errorf("%d refreshes, %d at once, want one", got, c.worst.Load())
	}
	if c.denials.Load() != 0 || c.authorizations.Load() != 1 {
		t.Errorf("%d denials, %d authorizations", c.denials.Load(), c.authorizations.Load())
	}
	// 3. The session is over: one more tab for all.
	me.forgetRefreshToken()
	storm(t, me, 200, fleetOf20()...)
	if me.tabs() != 2 {
		t.Errorf("%d tabs, want two\n%s", me.tabs(), me.browserFault())
	}
	if got := c.denials.Load(); got != 1 { // the one that said that the session is over
		t.Errorf("%d denials, want one", got)
	}
}

// fleetOf20 are the clusters of behindCounter.
func fleetOf20() []string {
	ids := []string{"a"}
	for n := 2; n <= 20; n++ {
		ids = append(ids, fmt.Sprintf("c%d", n))
	}
	return ids
}

func storm(t *testing.T, me *person, n int, clusters ...string) {
	t.Helper()
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range n {
		wg.Go(func() {
			r := me.run("", "kubectl-fairlead", "get-token", "--server", me.s.issuer, "--cluster", clusters[i%len(clusters)])
			if r.code != 0 && failed.Add(1) <= 3 {
				t.Errorf("get-token: %+v", r)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d failed", failed.Load(), n)
	}
}

// TestIgnoredSignIn leaves the browser tab alone: no second tab opens and each
// later call fails at once with the command to run.
func TestIgnoredSignIn(t *testing.T) {
	t.Parallel()
	s, _ := behindCounter(t, needParts(t))
	me := s.person(t, credentials{Ignore: true})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan result, 1)
	go func() {
		first <- me.runContext(ctx, "", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a")
	}()
	eventually(t, "first tab", 20*time.Second, func() bool { return me.tabs() == 1 })
	cancel() // the person closed the terminal
	<-first
	for range 5 {
		began := time.Now()
		r := me.run("", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a")
		if r.code != 3 || !strings.HasSuffix(strings.TrimSpace(r.err), "Run: kubectl fairlead login "+s.issuer) {
			t.Errorf("%+v", r)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v to say no", took)
		}
	}
	if me.tabs() != 1 {
		t.Errorf("%d tabs, want one", me.tabs())
	}
}

// behindCounter is a server whose address is that of a counting proxy.
func behindCounter(t *testing.T, p parts) (*system, *counter) {
	t.Helper()
	s := prepare(t, p)
	outside := strings.TrimPrefix(s.issuer, "https://")
	inside := freeAddress(t)
	target, err := url.Parse("https://" + inside)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{}
	srv := &http.Server{Addr: outside, Handler: c.handler(target, s.client.Transport)}
	go func() { _ = srv.ListenAndServeTLS(s.dir+"/tls.crt", s.dir+"/tls.key") }()
	t.Cleanup(func() { _ = srv.Close() })
	clusters := ""
	for _, id := range fleetOf20() {
		clusters += clusterEntry(id, "127.0.0.1:1", s.dir)
	}
	s.run(t, inside, localUsers(t)+"clusters:\n"+clusters+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	return s, c
}

func peek(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// cacheFile finds the plugin's files.
func (p *person) cacheFiles(pattern string) []string {
	p.t.Helper()
	files, err := filepath.Glob(p.home + "/cache/fairlead/" + pattern)
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

// expireTokens makes the plugin believe that its tokens are over.
func (p *person) expireTokens() {
	p.t.Helper()
	for _, file := range p.cacheFiles("*.token-*.json") {
		if err := os.Remove(file); err != nil {
			p.t.Fatal(err)
		}
	}
	p.changeSession(func(s map[string]any) { s["accessExpires"] = time.Now().Add(-time.Hour) })
}

// forgetRefreshToken replaces the refresh token by an unknown one.
func (p *person) forgetRefreshToken() {
	p.t.Helper()
	p.expireTokens()
	p.changeSession(func(s map[string]any) { s["refreshToken"] = "made-up" })
}

func (p *person) changeSession(change func(map[string]any)) {
	p.t.Helper()
	files := p.cacheFiles("*.session.json")
	if len(files) != 1 {
		p.t.Fatalf("sessions: %v", files)
	}
	var s map[string]any
	if err := json.Unmarshal([]byte(readFile(p.t, files[0])), &s); err != nil {
		p.t.Fatal(err)
	}
	change(s)
	text, err := json.Marshal(s)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}
