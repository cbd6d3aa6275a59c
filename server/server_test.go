package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// clock is a time that tests move.
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

// world is one provider with one or more replicas and a pretended upstream.
type world struct {
	store    *store.Store
	upstream *mock.Upstream
	clock    *clock
	issuer   string
	// replicas are the addresses of the replicas; issuer is the first.
	replicas []string
	plugin   *relyingparty.Client
	// settings are those of applySettings, for tests that change some.
	settings store.Settings
	provider *server.Server
	// types and maxAge replace the pretended upstream.
	types  map[string]connectors.Type
	maxAge time.Duration
	// transport is how the provider reaches upstreams.
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

func setup(t *testing.T, cfgs ...store.Config) *world {
	t.Helper()
	if len(cfgs) == 0 {
		cfgs = []store.Config{storetest.SQLiteConfig(t)}
	}
	w := &world{upstream: mock.NewUpstream(), clock: &clock{at: time.Now()}}
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
	// The store seals the configuration of connectors in place.
	set.Connectors = slices.Clone(set.Connectors)
	if err := s.ApplyFile(t.Context(), set, now); err != nil {
		t.Fatal(err)
	}
}

// serve starts a replica. All replicas say that they are the first one's issuer.
func (w *world) serve(t *testing.T, s *store.Store) {
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
		Live: runtimesettings.New(runtimesettings.Values{MaxAge: w.maxAge, Brand: "Test"}), Transport: w.transport, URL: u, Store: s, Keyring: storetest.Keyring(t), Audit: audit.NewLog(w.clock.now, logger, s), Logger: logger,
		Now: w.clock.now, Types: w.types, RequestsPerSecond: 10000, SetupCodes: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Keys.Tend(t.Context()); err != nil {
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

func (w *world) events(t *testing.T, name audit.Name) []store.AuditEvent {
	t.Helper()
	events, err := w.store.AuditEvents(t.Context(), name, 100)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func (w *world) signIn(t *testing.T) relyingparty.Tokens {
	t.Helper()
	return w.plugin.SignIn(t, relyingparty.NewBrowser(t, w.issuer, nil), asJane())
}

// TestAnIndependentClient signs in with coreos/go-oidc and x/oauth2, which
// check what they get by the book.
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
	if page.Left == nil || page.Left.Query().Get("state") != "st&te" || page.Left.Query().Get("iss") != w.issuer || page.Left.Query().Get("x") != "1" {
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

// rows counts everything but the audit log.
func (w *world) rows(t *testing.T) map[string]int64 {
	t.Helper()
	counts, err := w.store.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func TestOneSignInServesEveryClient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	first := w.plugin.SignIn(t, b, asJane())
	asked := w.upstream.Asked()
	// A cluster is a public client of its own; the person only confirms.
	cluster := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a", RedirectURI: "http://localhost:8000", Scope: "openid offline_access"}
	second := cluster.SignIn(t, b, relyingparty.Credentials{})
	// A confidential client needs nothing from the person.
	page := b.Get(w.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"grafana"}, "redirect_uri": {"https://grafana.test/cb?x=1"}, "scope": {"openid"}, "prompt": {"none"},
	}.Encode())
	third := w.plugin.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {"https://grafana.test/cb?x=1"},
		"client_id": {"grafana"}, "client_secret": {"s3cret"},
	})
	if w.upstream.Asked() != asked {
		t.Error("the upstream was asked again")
	}
	sid := relyingparty.Claims(t, first.IDToken)["sid"]
	for name, tokens := range map[string]relyingparty.Tokens{"cluster": second, "grafana": third} {
		if claims := relyingparty.Claims(t, tokens.IDToken); claims["sid"] != sid || sid == "" {
			t.Errorf("%s: sid %v, want %v", name, claims["sid"], sid)
		}
	}
	claims := relyingparty.Claims(t, second.IDToken)
	if claims["aud"] != "k8s-a" || claims["azp"] != nil || claims["preferred_username"] != "corp:jane" {
		t.Errorf("cluster claims %v", claims)
	}
}

func TestExchangeGivesATokenForOneCluster(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)
	for _, audience := range []string{"k8s-a", "k8s-b"} {
		got := w.plugin.Exchange(t, tokens.AccessToken, audience)
		claims := relyingparty.Claims(t, got.AccessToken)
		if claims["aud"] != audience || claims["azp"] != "kubectl-fairlead" || got.RefreshToken != "" || got.TokenType != "N_A" {
			t.Errorf("%s: %+v, claims %v", audience, got, claims)
		}
	}
	other := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	for name, c := range map[string]struct {
		client   *relyingparty.Client
		token    string
		audience string
		want     string
	}{
		"no rule":                  {w.plugin, tokens.AccessToken, "k8s-c", "invalid_target"},
		"unknown cluster":          {w.plugin, tokens.AccessToken, "k8s-x", "invalid_target"},
		"a client is no cluster":   {w.plugin, tokens.AccessToken, "grafana", "invalid_target"},
		"id token as subject":      {w.plugin, tokens.IDToken, "k8s-a", "invalid_grant"},
		"refresh token":            {w.plugin, tokens.RefreshToken, "k8s-a", "invalid_grant"},
		"made-up token":            {w.plugin, "x", "k8s-a", "invalid_grant"},
		"client without the grant": {other, tokens.AccessToken, "k8s-a", "unauthorized_client"},
	} {
		if got := c.client.Exchange(t, c.token, c.audience); got.Error != c.want || got.AccessToken != "" {
			t.Errorf("%s: %s, want %s", name, got.Raw, c.want)
		}
	}
	if events := w.events(t, audit.AccessRefused); len(events) != 1 || events[0].ClusterID != "c" {
		t.Errorf("events %+v", events)
	}
	w.clock.add(11 * time.Minute)
	if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
		t.Errorf("expired access token: %s", got.Raw)
	}
}

// TestConcurrentRefresh is the storm that kubectl makes: eight uses of one
// token at once give one successor and one and the same answer.
func TestConcurrentRefresh(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, w *world) {
		t.Helper()
		token := w.signIn(t).RefreshToken
		for round := range 5 {
			answers := make([]string, 8)
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range answers {
				client := *w.plugin
				client.Issuer = w.replicas[i%len(w.replicas)]
				wg.Go(func() {
					<-start
					answers[i] = client.Refresh(t, token).Raw
				})
			}
			close(start)
			wg.Wait()
			for i, raw := range answers {
				if raw != answers[0] || strings.Contains(raw, "error") {
					t.Fatalf("round %d: answer %d is %s, the first %s", round, i, raw, answers[0])
				}
			}
			var next relyingparty.Tokens
			if err := json.Unmarshal([]byte(answers[0]), &next); err != nil {
				t.Fatal(err)
			}
			if next.RefreshToken == token {
				t.Fatal("the token was not rotated")
			}
			token = next.RefreshToken
		}
		if got := len(w.events(t, audit.TokenReplayed)); got != 0 {
			t.Errorf("%d replays recorded", got)
		}
	}
	t.Run("sqlite with one connection", func(t *testing.T) {
		t.Parallel()
		run(t, setup(t))
	})
	t.Run("postgres with two replicas", func(t *testing.T) {
		t.Parallel()
		cfg := storetest.PostgresConfig(t)
		run(t, setup(t, cfg, cfg))
	})
}

func TestReplayKillsTheFamily(t *testing.T) {
	t.Parallel()
	storetestEach(t, func(t *testing.T, w *world) {
		for name, replay := range map[string]func(first, second relyingparty.Tokens){
			"after the grace period": func(relyingparty.Tokens, relyingparty.Tokens) { w.clock.add(31 * time.Second) },
			"after the successor was used": func(_, second relyingparty.Tokens) {
				if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "" {
					t.Fatal(got.Raw)
				}
			},
		} {
			before := len(w.events(t, audit.TokenReplayed))
			first := w.signIn(t)
			second := w.plugin.Refresh(t, first.RefreshToken)
			replay(first, second)
			if got := w.plugin.Refresh(t, first.RefreshToken); got.Status != 400 || got.Error != "invalid_grant" {
				t.Errorf("%s: replay got %s", name, got.Raw)
			}
			if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "theft") {
				t.Errorf("%s: the family lives: %s", name, got.Raw)
			}
			if got := w.plugin.Exchange(t, second.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
				t.Errorf("%s: the access token lives: %s", name, got.Raw)
			}
			if got := len(w.events(t, audit.TokenReplayed)) - before; got != 1 {
				t.Errorf("%s: %d replays recorded, want 1", name, got)
			}
		}
	})
}

func storetestEach(t *testing.T, fn func(*testing.T, *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, setup(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, setup(t, storetest.PostgresConfig(t))) })
}

func TestCodeReplayEndsWhatItGave(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verifier, challenge := relyingparty.PKCE()
	code := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t)
	redeem := func(verifier string) relyingparty.Tokens {
		t.Helper()
		return w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		})
	}
	tokens := redeem(verifier)
	if tokens.Error != "" {
		t.Fatal(tokens.Raw)
	}
	// With a wrong verifier it is no second valid use and must end nothing.
	wrong, _ := relyingparty.PKCE()
	if got := redeem(wrong); got.Error != "invalid_grant" {
		t.Errorf("wrong verifier: %s", got.Raw)
	}
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	if refreshed.Error != "" {
		t.Fatalf("a guess ended the session: %s", refreshed.Raw)
	}
	if got := redeem(verifier); got.Error != "invalid_grant" {
		t.Errorf("second use: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("after the second use: %s", got.Raw)
	}
}

func TestTokenEndpointRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	verifier, challenge := relyingparty.PKCE()
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	code := func() string { return b.SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t) }
	base := func() url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "client_id": {"kubectl-fairlead"}, "code": {code()},
			"redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		}
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"no grant":              {func(v url.Values) { v.Del("grant_type") }, "unsupported_grant_type"},
		"password grant":        {func(v url.Values) { v.Set("grant_type", "password") }, "unsupported_grant_type"},
		"no client":             {func(v url.Values) { v.Set("client_id", " ") }, "invalid_client"},
		"unknown client":        {func(v url.Values) { v.Set("client_id", "nobody") }, "invalid_client"},
		"secret of a public":    {func(v url.Values) { v.Set("client_secret", "x") }, "invalid_client"},
		"wrong secret":          {func(v url.Values) { v.Set("client_id", "grafana"); v.Set("client_secret", "x") }, "invalid_client"},
		"missing secret":        {func(v url.Values) { v.Set("client_id", "grafana") }, "invalid_client"},
		"other client's code":   {func(v url.Values) { v.Set("client_id", "k8s-a") }, "invalid_grant"},
		"other redirect":        {func(v url.Values) { v.Set("redirect_uri", "http://127.0.0.1:4712/callback") }, "invalid_grant"},
		"no verifier":           {func(v url.Values) { v.Del("code_verifier") }, "invalid_grant"},
		"short verifier":        {func(v url.Values) { v.Set("code_verifier", "short") }, "invalid_grant"},
		"challenge as verifier": {func(v url.Values) { v.Set("code_verifier", challenge) }, "invalid_grant"},
		"no code":               {func(v url.Values) { v.Del("code") }, "invalid_grant"},
		"twice":                 {func(v url.Values) { v.Add("code", "x") }, "invalid_request"},
	} {
		v := base()
		c.change(v)
		got := w.plugin.Token(t, v)
		if got.Error != c.want || got.AccessToken != "" || got.ErrorDescription == "" {
			t.Errorf("%s: %s, want %s", name, got.Raw, c.want)
		}
	}
	w.clock.add(0)
	late := base()
	w.clock.add(2 * time.Minute)
	if got := w.plugin.Token(t, late); got.Error != "invalid_grant" {
		t.Errorf("expired code: %s", got.Raw)
	}
	if got := w.plugin.Post(t, "/token?grant_type=authorization_code", url.Values{"client_id": {"kubectl-fairlead"}}); got.Error != "unsupported_grant_type" {
		t.Errorf("parameters in the query: %s", got.Raw)
	}
}

func TestAuthorizationRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, challenge := relyingparty.PKCE()
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	// These must stay here: neither address can be trusted.
	for name, more := range map[string]url.Values{
		"unknown client":      {"client_id": {"nobody"}},
		"no client":           {"client_id": {""}},
		"foreign redirect":    {"redirect_uri": {"https://evil.test/cb"}},
		"no redirect":         {"redirect_uri": {""}},
		"other loopback path": {"redirect_uri": {"http://127.0.0.1:4711/other"}},
		"redirect twice":      {"redirect_uri": {w.plugin.RedirectURI, "https://evil.test/"}},
		"client twice":        {"client_id": {"kubectl-fairlead", "grafana"}},
	} {
		if page := b.Get(w.plugin.AuthURL(challenge, more)); page.Left != nil || page.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, page)
		}
	}
	for name, c := range map[string]struct {
		more url.Values
		want string
	}{
		"no response type":  {url.Values{"response_type": {""}}, "unsupported_response_type"},
		"implicit":          {url.Values{"response_type": {"id_token"}}, "unsupported_response_type"},
		"hybrid":            {url.Values{"response_type": {"code id_token"}}, "unsupported_response_type"},
		"no PKCE":           {url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "invalid_request"},
		"plain PKCE":        {url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		"method missing":    {url.Values{"code_challenge_method": {""}}, "invalid_request"},
		"broken challenge":  {url.Values{"code_challenge": {"short"}}, "invalid_request"},
		"request object":    {url.Values{"request": {"x"}}, "request_not_supported"},
		"request uri":       {url.Values{"request_uri": {"https://x"}}, "request_uri_not_supported"},
		"registration":      {url.Values{"registration": {"{}"}}, "registration_not_supported"},
		"no openid":         {url.Values{"scope": {"profile"}}, "invalid_scope"},
		"fragment mode":     {url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		"prompt none":       {url.Values{"prompt": {"none"}}, "login_required"},
		"prompt none login": {url.Values{"prompt": {"none login"}}, "invalid_request"},
		"unknown prompt":    {url.Values{"prompt": {"dance"}}, "invalid_request"},
		"bad max_age":       {url.Values{"max_age": {"-1"}}, "invalid_request"},
		"scope twice":       {url.Values{"scope": {"openid", "profile"}}, "invalid_request"},
		"huge nonce":        {url.Values{"nonce": {strings.Repeat("n", 600)}}, "invalid_request"},
	} {
		page := b.Get(w.plugin.AuthURL(challenge, c.more))
		if page.Left == nil {
			t.Errorf("%s: %v", name, page)
			continue
		}
		q := page.Left.Query()
		if q.Get("error") != c.want || q.Get("state") != "state-1" || q.Get("iss") != w.issuer || q.Get("code") != "" {
			t.Errorf("%s: %s, want %s", name, page.Left, c.want)
		}
		if page.Left.Host != "127.0.0.1:4711" || page.Status != http.StatusSeeOther {
			t.Errorf("%s: %v", name, page)
		}
	}
}

func TestPromptAndMaxAge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	authTime := func(more url.Values, as relyingparty.Credentials) any {
		t.Helper()
		verifier, challenge := relyingparty.PKCE()
		page := b.SignIn(w.plugin.AuthURL(challenge, more), as)
		tokens := w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {w.plugin.RedirectURI}, "code_verifier": {verifier},
		})
		return relyingparty.Claims(t, tokens.IDToken)["auth_time"]
	}
	first := authTime(nil, asJane())
	w.clock.add(10 * time.Second)
	if got := authTime(url.Values{"max_age": {"10000"}}, relyingparty.Credentials{}); got != first {
		t.Errorf("max_age large: auth_time %v, want %v", got, first)
	}
	second := authTime(url.Values{"max_age": {"1"}}, asJane())
	if second == first {
		t.Error("max_age small: nobody was asked")
	}
	w.clock.add(10 * time.Second)
	if got := authTime(url.Values{"prompt": {"login"}}, asJane()); got == second {
		t.Error("prompt=login: nobody was asked")
	}
}

func TestALeaverLosesAccessAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)

	// 1. Moved to another group: the old cluster goes, the new one comes.
	w.upstream.Set(jane("ops"))
	w.clock.add(6 * time.Minute)
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	if got := w.plugin.Exchange(t, refreshed.AccessToken, "k8s-a"); got.Error != "invalid_target" {
		t.Errorf("old cluster: %s", got.Raw)
	}
	if got := w.plugin.Exchange(t, refreshed.AccessToken, "k8s-c"); got.Error != "" {
		t.Errorf("new cluster: %s", got.Raw)
	}

	// 2. The upstream is away: what was there stays.
	w.upstream.Break(errors.New("down"))
	w.clock.add(6 * time.Minute)
	refreshed = w.plugin.Refresh(t, refreshed.RefreshToken)
	if refreshed.Error != "" {
		t.Fatalf("outage: %s", refreshed.Raw)
	}
	w.clock.add(time.Hour)
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Status != 503 || got.Error != "temporarily_unavailable" {
		t.Errorf("outage budget over: %s", got.Raw)
	}
	w.upstream.Break(nil)

	// 3. Gone: refused with a reason.
	gone := jane()
	gone.Denied = true
	w.upstream.Set(gone)
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Error != "invalid_grant" || got.ErrorDescription == "" {
		t.Errorf("gone: %s", got.Raw)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	laptop, desktop := w.signIn(t), w.signIn(t)
	stranger := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	if got := stranger.Post(t, "/revoke", url.Values{"client_id": {"k8s-a"}, "token": {laptop.RefreshToken}}); got.Status != 200 {
		t.Errorf("stranger: %d", got.Status)
	}
	rotated := w.plugin.Refresh(t, laptop.RefreshToken)
	if rotated.Error != "" {
		t.Fatalf("a stranger revoked it: %s", rotated.Raw)
	}
	for range 2 { // twice is no error
		if got := w.plugin.Post(t, "/revoke", url.Values{"client_id": {"kubectl-fairlead"}, "token": {rotated.RefreshToken}}); got.Status != 200 {
			t.Errorf("revoke: %d %s", got.Status, got.Raw)
		}
	}
	if got := w.plugin.Refresh(t, rotated.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("revoked device: %s", got.Raw)
	}
	if got := w.plugin.Exchange(t, rotated.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
		t.Errorf("access token of a revoked device: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, desktop.RefreshToken); got.Error != "" {
		t.Errorf("the other device: %s", got.Raw)
	}
}

func TestUserInfoRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)
	get := func(authorization string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/userinfo?access_token="+tokens.AccessToken, nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	if resp, body := get("bearer " + tokens.AccessToken); resp.StatusCode != 200 || !strings.Contains(body, `"sub":"usr_`) {
		t.Errorf("good token: %d %s", resp.StatusCode, body)
	}
	for _, bad := range []string{"", "Basic " + tokens.AccessToken, "Bearer", "Bearer x", "Bearer " + tokens.IDToken, "Bearer " + tokens.RefreshToken} {
		if resp, body := get(bad); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %s", bad, resp.StatusCode, body)
		}
	}
}

func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, challenge := relyingparty.PKCE()
	eve := relyingparty.NewBrowser(t, w.issuer, nil)
	form := eve.Get(w.plugin.AuthURL(challenge, nil))
	flow := form.Doc.Find("input[name=flow]").AttrOr("value", "")
	if flow == "" {
		t.Fatalf("no flow on %v", form)
	}
	// Jane's browser must not go on with a flow that Eve began.
	victim := relyingparty.NewBrowser(t, w.issuer, nil)
	page := victim.Post(w.issuer+"/login/corp", url.Values{"flow": {flow}, "username": {"jane"}, "password": {"right"}})
	if page.Status != http.StatusBadRequest || !strings.Contains(page.Text, "another browser") {
		t.Errorf("%v:\n%s", page, page.Text)
	}
}

func TestWrongPasswordKeepsTheName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	page := b.SignIn(w.issuer+"/login?return_to=/x", relyingparty.Credentials{Username: "jane", Password: "wrong"})
	if page.Status != http.StatusUnauthorized || page.Doc.Find("input[name=username]").AttrOr("value", "") != "jane" ||
		!strings.Contains(page.Doc.Find("[role=alert]").Text(), "wrong") || strings.Contains(page.Text, `value="wrong"`) {
		t.Errorf("%v:\n%s", page, page.Text)
	}
	events := w.events(t, audit.SignInFailed)
	if len(events) != 1 || events[0].UserName != "" || events[0].ConnectorID != "corp" {
		t.Errorf("events %+v", events)
	}
}

// TestEndSession is RP-initiated logout: it leaves only for a registered address
// and only with a hint that we signed; without one it asks.
func TestEndSession(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const home = "https://grafana.test/bye"
	grafana := &relyingparty.Client{Issuer: w.issuer, ID: "grafana", RedirectURI: "https://grafana.test/cb?x=1", Scope: "openid"}
	signIn := func(b *relyingparty.Browser) string {
		verifier, challenge := relyingparty.PKCE()
		page := b.SignIn(grafana.AuthURL(challenge, nil), asJane())
		return grafana.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {grafana.RedirectURI}, "code_verifier": {verifier}, "client_secret": {"s3cret"},
		}).IDToken
	}
	stranger := signIn(relyingparty.NewBrowser(t, w.issuer, nil)) // the same person in another browser
	parts := strings.Split(stranger, ".")
	for name, c := range map[string]struct {
		params func(hint string) url.Values
		// want is where the browser ends: an address, "out", "ask" or "error".
		want string
	}{
		"everything": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}, "state": {"s&=" + strings.Repeat("x", 120)}}
		}, home + "?state=s%26%3D" + strings.Repeat("x", 120)},
		"no state": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}}
		}, home},
		"no address": {func(hint string) url.Values { return url.Values{"id_token_hint": {hint}} }, "out"},
		"nothing":    {func(string) url.Values { return nil }, "ask"},
		"only state": {func(string) url.Values { return url.Values{"state": {"s"}} }, "ask"},
		"no hint":    {func(string) url.Values { return url.Values{"post_logout_redirect_uri": {home}} }, "error"},
		"unregistered": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.test/"}}
		}, "error"},
		"query added": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home + "?foo=bar"}}
		}, "error"},
		"unsigned hint": {func(string) url.Values {
			return url.Values{"id_token_hint": {"eyJhbGciOiJub25lIn0." + parts[1] + "."}, "post_logout_redirect_uri": {home}}
		}, "error"},
		"changed hint":    {func(hint string) url.Values { return url.Values{"id_token_hint": {hint + "x"}} }, "ask"},
		"another sign-in": {func(string) url.Values { return url.Values{"id_token_hint": {stranger}} }, "ask"},
		"another client":  {func(hint string) url.Values { return url.Values{"id_token_hint": {hint}, "client_id": {"k8s-a"}} }, "error"},
		"address sent twice": {func(hint string) url.Values {
			return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home, "https://evil.test/"}}
		}, "error"},
	} {
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		page := b.Get(w.issuer + "/end-session?" + c.params(signIn(b)).Encode())
		got := "error"
		switch {
		case page.Left != nil:
			got = page.Left.String()
		case strings.Contains(page.Text, "You are signed out"):
			got = "out"
		case strings.Contains(page.Text, "Sign out of this browser?"):
			got = "ask"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		// Only then is nobody signed in any more.
		silent := b.Get(grafana.AuthURL("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", url.Values{"prompt": {"none"}}))
		if over := silent.Left.Query().Get("error") == "login_required"; over != (got == "out" || page.Left != nil) {
			t.Errorf("%s: signed out %v", name, over)
		}
	}
}

func TestGuessingIsRefusedAndOpensByItself(t *testing.T) {
	t.Parallel()
	w := setup(t)
	wrong := relyingparty.Credentials{Username: "jane", Password: "wrong"}
	for range 10 {
		relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", wrong)
	}
	asked := w.upstream.Asked()
	page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", asJane())
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" || !strings.Contains(page.Text, "Try again in 15 minutes") {
		t.Errorf("%v\n%s", page, page.Text)
	}
	if w.upstream.Asked() != asked {
		t.Error("the upstream was asked all the same")
	}
	if events := w.events(t, audit.SignInRefused); len(events) != 1 || events[0].Reason != "too_many_failures" {
		t.Errorf("events %+v", events)
	}
	w.clock.add(15 * time.Minute)
	if page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login?return_to=/signed-out", asJane()); page.Status != http.StatusOK {
		t.Errorf("after the wait: %v", page)
	}
}

func TestDiscoveryIsCachedAndTrue(t *testing.T) {
	t.Parallel()
	w := setup(t)
	get := func(path, etag string) (int, http.Header, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", etag)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var doc map[string]any
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode, resp.Header, doc
	}
	_, header, doc := get("/.well-known/openid-configuration", "")
	if doc["issuer"] != w.issuer || !strings.Contains(header.Get("Cache-Control"), "max-age=600") {
		t.Errorf("document %v, headers %v", doc, header)
	}
	if status, _, _ := get("/.well-known/openid-configuration", header.Get("ETag")); status != http.StatusNotModified {
		t.Errorf("with its tag: %d", status)
	}
	// What is published must be there.
	for name, address := range doc {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		u, err := url.Parse(fmt.Sprint(address))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			t.Errorf("%s is published and not there", name)
		}
	}
	// Without a database both documents stay.
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/keys"} {
		if status, _, _ := get(path, ""); status != http.StatusOK {
			t.Errorf("%s without a database: %d", path, status)
		}
	}
}

// TestAPoolOfOneIsEnough is the wedge that other providers have: many refreshes
// at once on a pool of one connection.
func TestAPoolOfOneIsEnough(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var tokens []string
	for range 20 {
		tokens = append(tokens, w.signIn(t).RefreshToken)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			if got := w.plugin.Refresh(t, token); got.Error != "" {
				t.Error(got.Raw)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("wedged")
	}
}

// FuzzAuthorize sends odd requests: none may end in a redirect to a place that
// is not registered, or in an internal error.
func FuzzAuthorize(f *testing.F) {
	f.Add("client_id=kubectl-fairlead&redirect_uri=http://127.0.0.1:1/callback&response_type=code&scope=openid&code_challenge=x&code_challenge_method=S256")
	f.Add("client_id=grafana&redirect_uri=https://grafana.test/cb?x=1&response_type=code&scope=openid&prompt=none&max_age=1")
	f.Add("client_id=k8s-a&redirect_uri=http://localhost:8000&response_type=code&request=x&state=%00%ff")
	f.Add("client_id=grafana&client_id=k8s-a&redirect_uri=//evil.test")
	f.Add("client_id=grafana&redirect_uri=https://grafana.test/cb?x=1&response_type=code&scope=openid&response_mode=form_post&claims={\"id_token\":{\"sub\":{\"value\":\"x\"}}}")
	f.Add("client_id=wiki&redirect_uri=https://wiki.test/cb&response_type=code&scope=openid&id_token_hint=a.b.c&ui_locales=de&acr_values=1&prompt=none")
	handler := fuzzHandler(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%q: %d", query, w.Code)
		}
		location := w.Header().Get("Location")
		if location == "" {
			return
		}
		u, err := url.Parse(location)
		if err != nil {
			t.Fatalf("%q led to %q", query, location)
		}
		if host := u.Hostname(); host != "" && host != "127.0.0.1" && host != "localhost" && host != "::1" && host != "grafana.test" && host != "wiki.test" {
			t.Errorf("%q led to %q", query, location)
		}
		if u.Query().Get("code") != "" {
			t.Errorf("%q got a code from nobody: %q", query, location)
		}
	})
}

func fuzzHandler(f *testing.F) http.Handler {
	f.Helper()
	s := storetest.SQLite(f)
	applySettings(f, s, time.Now())
	logger := slog.New(slog.DiscardHandler)
	provider, err := server.New(f.Context(), server.Config{
		URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Store: s, Keyring: storetest.Keyring(f), Audit: audit.NewLog(time.Now, logger), Logger: logger,
		Now: time.Now, Types: map[string]connectors.Type{"mock": mock.Type(mock.NewUpstream())}, Live: runtimesettings.New(runtimesettings.Values{Brand: "Test"}), RequestsPerSecond: 1_000_000,
	})
	if err != nil {
		f.Fatal(err)
	}
	handler, err := provider.Echo()
	if err != nil {
		f.Fatal(err)
	}
	return handler
}
