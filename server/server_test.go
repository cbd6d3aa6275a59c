package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// testServer is one provider with one or more replicas and a fake upstream.
type testServer struct {
	store    *store.Store
	upstream *mock.Upstream
	clock    *clock
	issuer   string
	// replicas are the URLs of the replicas. The issuer is the first.
	replicas []string
	plugin   *relyingparty.Client
	// settings are those of applySettings, for tests that change some.
	settings store.Settings
	provider *server.Server
	// types and maxAge replace the fake upstream.
	types  map[string]connectors.Type
	maxAge time.Duration
	// transport is the provider's transport to upstreams.
	transport http.RoundTripper
}

func jane(groups ...string) mock.Person {
	return mock.Person{Password: "right", Identity: connectors.Identity{
		Subject: "1", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: groups,
	}}
}

func asJane() relyingparty.Credentials {
	return relyingparty.Credentials{Connector: "Corp", Username: "jane", Password: "right"}
}

func setup(t *testing.T, cfgs ...store.Config) *testServer {
	t.Helper()
	return setupWith(t, 0, cfgs...)
}

// setupWith is setup with a maximum age of the upstream's answers. A negative one asks the upstream each time.
func setupWith(t *testing.T, maxAge time.Duration, cfgs ...store.Config) *testServer {
	t.Helper()
	if len(cfgs) == 0 {
		cfgs = []store.Config{storetest.SQLiteConfig(t)}
	}
	w := &testServer{maxAge: maxAge, upstream: mock.NewUpstream(), clock: &clock{at: time.Now()}}
	w.upstream.Set(jane("dev"))
	for i, cfg := range cfgs {
		s := storetest.Open(t, cfg)
		if i == 0 {
			w.store = s
			w.settings = applySettings(t, s, w.clock.now())
		}
		w.serve(t, s)
	}
	w.plugin = &relyingparty.Client{
		Issuer: w.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback",
		Scope: "openid profile email groups offline_access",
	}
	return w
}

func applySettings(t testing.TB, s *store.Store, now time.Time) store.Settings {
	t.Helper()
	file := store.Origin{Origin: store.OriginFile, OriginRef: "test:1"}
	set := store.Settings{
		Connectors: []store.Connector{{Enabled: true, ID: "corp", Type: "mock", Name: "Corp", GroupPrefix: "corp:", UserPrefix: "corp:", Config: "{}", Origin: file}},
		Clusters: []store.Cluster{
			{ID: "a", Name: "Cluster A", Audience: "k8s-a", Algorithm: "RS256", TokenSeconds: 600, Server: "https://a.test", Origin: file},
			{ID: "b", Name: "Cluster B", Audience: "k8s-b", Algorithm: "ES256", TokenSeconds: 300, Server: "https://b.test", Origin: file},
			{ID: "c", Name: "Cluster C", Audience: "k8s-c", Algorithm: "RS256", TokenSeconds: 600, Server: "https://c.test", Origin: file},
		},
		Rules: []store.AccessRule{
			{ID: "devs", GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"a", "b"}, Origin: file},
			{ID: "ops", GroupNames: store.Strings{"corp:ops"}, ClusterIDs: store.Strings{"c"}, Origin: file},
		},
		Clients: []store.Client{{
			ID: "grafana", Name: "Grafana", RedirectURIs: store.Strings{"https://grafana.test/cb?x=1"}, PostLogoutURIs: store.Strings{"https://grafana.test/bye"}, PKCEOptional: true,
			Grants: store.Strings{"authorization_code", "refresh_token"}, SecretHashes: store.Strings{secret.Hash("s3cret")}, FirstParty: true, Origin: file,
		}, {
			ID: "wiki", Name: "Wiki", RedirectURIs: store.Strings{"https://wiki.test/cb"}, PKCEOptional: true,
			Grants: store.Strings{"authorization_code", "refresh_token"}, SecretHashes: store.Strings{secret.Hash("wiki-secret")}, Origin: file,
		}, {
			ID: "robot", Name: "Robot", Grants: store.Strings{"client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"},
			SecretHashes: store.Strings{secret.Hash("old"), secret.Hash("new")}, GroupNames: store.Strings{"corp:ops"}, Origin: file,
		}},
	}
	apply(t, s, set, now)
	return set
}

func apply(t testing.TB, s *store.Store, set store.Settings, now time.Time) {
	t.Helper()
	// The store encrypts the configuration of connectors in place.
	set.Connectors = slices.Clone(set.Connectors)
	if err := s.ApplyFile(t.Context(), set, now); err != nil {
		t.Fatal(err)
	}
}

// serve starts a replica. All replicas use the issuer of the first one.
func (w *testServer) serve(t *testing.T, s *store.Store) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	address := "http://" + srv.Listener.Addr().String()
	if w.issuer == "" {
		w.issuer = address
	}
	w.replicas = append(w.replicas, address)
	u, err := url.Parse(w.issuer)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	if w.types == nil {
		w.types = map[string]connectors.Type{"mock": mock.Type(w.upstream)}
	}
	provider, err := server.New(t.Context(), server.Config{
		RuntimeSettings: runtimesettings.New(runtimesettings.Values{UpstreamMaxAge: w.maxAge, Brand: "Test"}), Transport: w.transport, URL: u, Store: s, Keyring: storetest.Keyring(t), Audit: audit.NewLog(w.clock.now, logger, s), Logger: logger,
		Now: w.clock.now, Types: w.types, RequestsPerSecond: 10000, SetupCodes: true,
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
	w.provider = provider
	srv.Config.Handler = handler
	srv.Start()
	t.Cleanup(srv.Close)
}

func (w *testServer) events(t *testing.T, name audit.Name) []store.AuditEvent {
	t.Helper()
	events, err := w.store.AuditEvents(t.Context(), name, 100)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func (w *testServer) signIn(t *testing.T) relyingparty.Tokens {
	t.Helper()
	return w.plugin.SignIn(t, relyingparty.NewBrowser(t, w.issuer, nil), asJane())
}

// rows counts the rows of all tables except the audit log.
func (w *testServer) rows(t *testing.T) map[string]int64 {
	t.Helper()
	counts, err := w.store.RowCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func eachDatabase(t *testing.T, fn func(*testing.T, *testServer)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, setup(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, setup(t, storetest.PostgresConfig(t))) })
}

// TestAnIndependentClient signs in with coreos/go-oidc and x/oauth2, which verify the responses strictly.
func TestAnIndependentClient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, w.issuer)
	if err != nil {
		t.Fatal(err)
	}
	cfg := oauth2.Config{
		ClientID: "grafana", ClientSecret: "s3cret", Endpoint: provider.Endpoint(), RedirectURL: "https://grafana.test/cb?x=1",
		Scopes: []string{"openid", "profile", "email", "groups", "offline_access"},
	}
	verifier := oauth2.GenerateVerifier()
	page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(cfg.AuthCodeURL("st&te", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier)), asJane())
	if page.RedirectedTo == nil || page.RedirectedTo.Query().Get("state") != "st&te" || page.RedirectedTo.Query().Get("iss") != w.issuer || page.RedirectedTo.Query().Get("x") != "1" {
		t.Fatalf("browser %v", page)
	}
	tok, err := cfg.Exchange(ctx, page.Code(t), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tok.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: "grafana"}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if idToken.Nonce != "n-1" {
		t.Errorf("nonce %q", idToken.Nonce)
	}
	var claims struct {
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Groups   []string `json:"groups"`
	}
	info, err := provider.UserInfo(ctx, cfg.TokenSource(ctx, tok))
	if err != nil {
		t.Fatal(err)
	}
	if err := info.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if info.Subject != idToken.Subject || claims.Email != "jane@example.test" || !claims.Verified || !cmp.Equal(claims.Groups, []string{"corp:dev"}) {
		t.Errorf("userinfo %+v", claims)
	}
	tok.Expiry = time.Now().Add(-time.Minute)
	refreshed, err := cfg.TokenSource(ctx, tok).Token()
	if err != nil || refreshed.RefreshToken == tok.RefreshToken {
		t.Errorf("refresh: %v", err)
	}
}

func TestNothingIsStoredForAVisitor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	before := w.rows(t)
	for range 5 {
		_, challenge := relyingparty.PKCE()
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		b.Get(w.plugin.AuthURL(challenge, nil))
		b.SignIn(w.plugin.AuthURL(challenge, nil), relyingparty.Credentials{Username: "nobody", Password: "wrong"})
		w.plugin.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"made-up"}})
	}
	if diff := cmp.Diff(before, w.rows(t)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

// TestNothingInClear searches the database file for every secret that a flow issues.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLiteConfig(t)
	w := setup(t, cfg)
	codes := w.startDeviceFlow(t, w.plugin)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	answerDevice(t, b, codes.Page, codes.UserCode, "yes")
	tokens := w.pollDevice(t, codes.DeviceCode)
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	secrets := map[string]string{
		"device code": codes.DeviceCode, "user code": codes.UserCode, "access token": tokens.AccessToken, "refresh token": tokens.RefreshToken,
		"successor": refreshed.RefreshToken, "ID token": refreshed.IDToken, "client secret": "s3cret", "the upstream's data": "upstream-canary",
	}
	for name, value := range b.Cookies() {
		if name != "fairlead-connector" { // holds the id of a connector, which is no secret
			secrets["cookie "+name] = value
		}
	}
	files, err := filepath.Glob(cfg.DSN.Reveal() + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range secrets {
			if len(secret) > 3 && strings.Contains(string(body), secret) {
				t.Errorf("the %s is in clear in %s", name, filepath.Base(file))
			}
		}
	}
}
