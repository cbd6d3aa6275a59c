package drills_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/feed"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// line is the way from proxies to the server, which can be cut.
type line struct {
	transport http.RoundTripper
	cut       atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, fmt.Errorf("the line is cut")
	}
	return l.transport.RoundTrip(r)
}

// chatty is an API server whose streams say something ten times a second: that is
// how late a last byte can be seen.
func chatty(w http.ResponseWriter, r *http.Request) {
	say := func(to io.Writer) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(to, "{\"type\":\"BOOKMARK\"}\n"); err != nil {
				return
			}
			if f, ok := to.(http.Flusher); ok {
				f.Flush()
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if r.Header.Get("Upgrade") == "" {
		w.Header().Set("Content-Type", "application/json")
		say(w)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
	say(conn)
}

// startProxy runs a proxy that has enrolled.
func (r *replicas) startProxy(t *testing.T, upstream string, way *line) *httptest.Server {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	client := &http.Client{Transport: way}
	code, err := r.providers[0].Admin.EnrolmentCode(t.Context(), admin.Caller{Shell: "drill"}, "a")
	if err != nil {
		t.Fatal(err)
	}
	dir := feed.Dir(t.TempDir())
	id, err := feed.Enrol(t.Context(), client, dir, feed.EnrolmentRequest{Server: r.issuer, Code: code, Name: "drill"})
	if err != nil {
		t.Fatal(err)
	}
	ends, keys := &revocation.Registry{}, authn.NewKeySet(r.issuer, client, time.Now, logger)
	verifier := &authn.Verifier{Issuer: r.issuer, Audience: "k8s-a", Keys: keys, Now: time.Now}
	news, err := feed.Open(t.Context(), feed.Config{
		Identity: id, Dir: dir, HTTP: client, Revocations: ends, RecentUsers: verifier.RecentUsers, ExportKeys: keys.Export, ImportKeys: keys.Import, Now: time.Now, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	go func() { _ = keys.Run(ctx) }()
	go func() { _ = news.Run(ctx) }()
	forwarder, err := forward.New(&rest.Config{Host: upstream, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(proxy.New(proxy.Config{
		Cluster: "a", Forwarder: forwarder, Logger: logger, Now: time.Now, Verifier: verifier, Revocations: ends, CheckAccess: news.CheckAccess, StreamGracePeriod: news.StreamGracePeriod,
		Audit: audit.NewLog(time.Now, logger), ClientAddress: func(*http.Request) string { return "" },
	}))
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	return front
}

// listener is a user with an open stream.
type listener struct {
	last  atomic.Int64 // when something came last, in Unix nanoseconds
	ended atomic.Bool
}

// listen opens a stream: every other one is a watch, the rest are shells.
func listen(t *testing.T, front *httptest.Server, token string, n int, all *sync.WaitGroup) *listener {
	t.Helper()
	l := &listener{}
	conn, err := tls.Dial("tcp", front.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	request := "GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n"
	if n%2 == 1 {
		request = strings.Replace(request, "pods?watch=1", "namespaces/x/pods/y/exec", 1) + "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	first, err := r.ReadString('\n')
	if err != nil || !strings.Contains(first, " 200 ") && !strings.Contains(first, " 101 ") {
		t.Fatalf("%q %v", first, err)
	}
	all.Go(func() { l.hear(conn, r) })
	return l
}

func (l *listener) hear(conn net.Conn, r io.Reader) {
	buffer := make([]byte, 4096)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := r.Read(buffer)
		if n > 0 {
			l.last.Store(time.Now().UnixNano())
		}
		// A watch over HTTP/1.1 ends with an empty chunk, and the connection stays.
		if err != nil || strings.HasSuffix(string(buffer[:n]), "0\r\n\r\n") {
			l.ended.Store(true)
			return
		}
	}
}

// TestCutOff opens many streams through two proxies, for two people, kills a replica of the server and disables
// one of the people: only that user's streams end. Then the proxies are cut off from the server, and refuse as
// they were told to.
func TestCutOff(t *testing.T) { //nolint:paralleltest // it measures time
	streams := 200
	if *long {
		streams = 1000
	}
	r := startReplicas(t, storetest.PostgresConfig(t), how{count: 2})
	api := httptest.NewUnstartedServer(http.HandlerFunc(chatty))
	api.EnableHTTP2 = true
	api.StartTLS()
	t.Cleanup(api.Close)
	way := &line{transport: r.transport}
	fronts := []*httptest.Server{r.startProxy(t, api.URL, way), r.startProxy(t, api.URL, way)}
	tokens := []string{r.clusterToken(t, 1), r.clusterToken(t, 2)}
	var hearing sync.WaitGroup
	people := [2][]*listener{}
	for n := range streams {
		people[n/2%2] = append(people[n/2%2], listen(t, fronts[n/4%2], tokens[n/2%2], n, &hearing))
	}
	leaver, err := r.store.UserByName(t.Context(), "corp:user1")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	// The replica that is left has to tell them, and they have to find it.
	r.kill(1)
	began := time.Now()
	if err := r.providers[0].Admin.Disable(t.Context(), admin.Caller{Shell: "drill"}, leaver.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	if left := waitEnded(people[0], 30*time.Second); left > 0 {
		t.Errorf("%d of %d streams of the leaver survive", left, len(people[0]))
	}
	late := make([]time.Duration, 0, len(people[0]))
	for _, l := range people[0] {
		late = append(late, time.Unix(0, l.last.Load()).Sub(began))
	}
	slices.Sort(late)
	t.Logf("%d streams of the leaver: last byte after %s (median), %s (99th percentile), %s (last)", len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
	time.Sleep(500 * time.Millisecond)
	for _, l := range people[1] {
		if l.ended.Load() || time.Since(time.Unix(0, l.last.Load())) > 10*time.Second {
			t.Error("a stream of somebody else has ended")
		}
	}
	r.partition(t, way, people[1])
	for _, front := range fronts {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/api", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tokens[1])
		resp, err := front.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a proxy that hears nothing answers %s", resp.Status)
		}
	}
}

// partition cuts the proxies off, once they know that they are to refuse then.
func (r *replicas) partition(t *testing.T, way *line, streams []*listener) {
	t.Helper()
	const stale = 3 * time.Second
	set, err := r.store.AllSettings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster := set.Clusters[0]
	cluster.FailClosed, cluster.StaleSeconds = true, int(stale.Seconds())
	if err := r.store.UpdateSettings(t.Context(), func(c *store.SettingsTx) error { return c.Put(&cluster, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	way.cut.Store(true)
	began := time.Now()
	if left := waitEnded(streams, 40*time.Second); left > 0 {
		t.Errorf("%d of %d streams go on while the proxies hear nothing", left, len(streams))
	}
	t.Logf("cut off from the server, told to refuse after %s: all streams had ended after %s", stale, time.Since(began).Round(10*time.Millisecond))
}

// kill ends a replica as a crash does: what it has in hand, and what comes.
func (r *replicas) kill(n int) {
	r.mortals[n].dead.Store(true)
	r.mortals[n].end()
}

func waitEnded(streams []*listener, patience time.Duration) (left int) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left = 0
		for _, l := range streams {
			if !l.ended.Load() {
				left++
			}
		}
		if left == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// clusterToken is a fresh token for the cluster.
func (r *replicas) clusterToken(t *testing.T, user int) string {
	t.Helper()
	got := r.plugin().Exchange(t, r.signIn(t, user).AccessToken, "k8s-a")
	if got.Status != http.StatusOK {
		t.Fatalf("no token: %s", got.Raw)
	}
	return got.AccessToken
}
