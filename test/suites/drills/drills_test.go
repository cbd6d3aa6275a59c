// Package drills causes failures under load: keys rotate, replicas die, databases stop, disks fill, clocks
// differ and upstreams hang. "make drills" runs them for long. "make test" runs the short form of each.
package drills_test

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

var long = flag.Bool("long", false, "run for minutes instead of seconds")

// replicas is several providers on one database behind one https address, taken
// in turn.
type replicas struct {
	issuer    string
	ca        *pki.CA
	transport http.RoundTripper
	providers []*server.Server
	store     *store.Store
	upstream  *mock.Upstream

	mortals []*mortal
	turn    atomic.Uint64
}

// mortal is a replica that can be killed: what it has in hand is cut, and what comes is
// given to another, as a load balancer does.
type mortal struct {
	handler http.Handler
	dead    atomic.Bool
	life    context.Context
	end     context.CancelFunc
}

// ServeHTTP implements http.Handler.
func (m *mortal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(m.life, cancel)()
	m.handler.ServeHTTP(w, r.WithContext(ctx))
	if m.dead.Load() {
		panic(http.ErrAbortHandler)
	}
}

// next is the replica whose turn it is, of those that live.
func (r *replicas) next() http.Handler {
	for {
		if m := r.mortals[int(r.turn.Add(1))%len(r.mortals)]; !m.dead.Load() {
			return m
		}
	}
}

// how says what is particular about the replicas of a drill.
type how struct {
	count int
	// now tells each replica the time.
	now    func(replica int) func() time.Time
	timing keys.Timing
	rotate time.Duration
}

func startReplicas(t *testing.T, cfg store.Config, h how) *replicas {
	t.Helper()
	r := &replicas{upstream: mock.NewUpstream()}
	for i := range 40 {
		r.upstream.Set(mock.Person{Password: "right", Identity: connectors.Identity{
			Subject: fmt.Sprint(i), Username: fmt.Sprint("user", i), Groups: []string{"dev"},
		}})
	}
	var err error
	if r.ca, err = pki.NewCA("drills", time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := r.ca.Server(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.next().ServeHTTP(w, req)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	r.issuer = "https://" + srv.Listener.Addr().String()
	r.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.ca.Pool(), MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 100}
	for i := range h.count {
		r.add(t, storetest.Open(t, cfg), h, i)
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return r
}

func (r *replicas) add(t *testing.T, s *store.Store, h how, i int) {
	t.Helper()
	now := time.Now
	if h.now != nil {
		now = h.now(i)
	}
	if i == 0 {
		r.store = s
		file := store.Origin{Origin: store.OriginFile}
		if err := s.ApplyFile(t.Context(), store.Settings{
			Connectors: []store.Connector{{Enabled: true, ID: "corp", Type: "mock", Name: "Corp", GroupPrefix: "corp:", UserPrefix: "corp:", Config: "{}", Origin: file}},
			Clusters:   []store.Cluster{{ID: "a", Audience: "k8s-a", Algorithm: "RS256", TokenSeconds: 300, Server: "https://a.test", Origin: file}},
			Rules:      []store.AccessRule{{ID: "devs", GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"a"}, Origin: file}},
		}, now()); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(r.issuer)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	provider, err := server.New(t.Context(), server.Config{
		URL: u, Store: s, Keyring: storetest.Keyring(t), Audit: audit.NewLog(now, logger, s), Logger: logger, Now: now,
		Types: map[string]connectors.Type{"mock": mock.Type(r.upstream)}, RuntimeSettings: runtimesettings.New(runtimesettings.Values{Brand: "Drill"}), KeyTiming: h.timing, KeyRotation: h.rotate, RequestsPerSecond: 100_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Keys.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := provider.Echo()
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(end)
	r.providers = append(r.providers, provider)
	r.mortals = append(r.mortals, &mortal{handler: handler, life: life, end: end})
}

func (r *replicas) plugin() *relyingparty.Client {
	return &relyingparty.Client{
		Issuer: r.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback", Scope: "openid groups offline_access", Transport: r.transport,
	}
}

func (r *replicas) signIn(t *testing.T, user int) relyingparty.Tokens {
	t.Helper()
	return r.plugin().SignIn(t, relyingparty.NewBrowser(t, r.issuer, r.transport), relyingparty.Credentials{Connector: "Corp", Username: fmt.Sprint("user", user), Password: "right"})
}

// tally counts what happened, by name.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	first  map[string]string
}

func newTally() *tally { return &tally{counts: map[string]int{}, first: map[string]string{}} }

// add counts something and keeps the first detail of each kind.
func (c *tally) add(kind, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
	if c.first[kind] == "" {
		c.first[kind] = detail
	}
}

func (c *tally) get(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[kind]
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%v %v", c.counts, c.first)
}
