package bench_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	gosundheit "github.com/AppsFlyer/go-sundheit"
	dexserver "github.com/dexidp/dex/server"
	dexconnectors "github.com/dexidp/dex/server/connectors"
	"github.com/dexidp/dex/server/signer"
	dextokens "github.com/dexidp/dex/server/tokens"
	dexstorage "github.com/dexidp/dex/storage"
	dexsql "github.com/dexidp/dex/storage/sql"
	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	fairleadserve "github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/migrations"
	"github.com/fairlead-auth/fairlead/portal"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// serve runs a product until standard input ends, and prints its address.
func serve(product string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + ln.Addr().String()
	build := fairlead
	if product == "dex" {
		build = dex
	}
	handler, err := build(ctx, issuer)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	fmt.Println(issuer)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return srv.Close()
}

// config is how the server opens its database: nothing is tuned for the bench.
func config(database, dsn string) (store.Config, error) {
	ring, err := secret.NewKeyring(make([]byte, 32))
	if err != nil {
		return store.Config{}, err
	}
	cfg := store.Config{Driver: migrations.SQLite, DSN: secret.NewValue(dsn), Keyring: ring, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	if database == "PostgreSQL" {
		cfg.Driver = migrations.Postgres
	}
	return cfg, nil
}

// settings are 64 people, a relying party and 500 clusters.
func settings(alg string) (store.Settings, error) {
	file := store.Origin{Origin: store.OriginFile, OriginRef: "bench"}
	set := store.Settings{
		Connectors: []store.Connector{{Enabled: true, ID: "local", Type: "local", Name: "Local users", Config: "{}", UserPrefix: "local:", GroupPrefix: "local:", Origin: file}},
		Rules:      []store.AccessRule{{ID: "dev", GroupNames: store.Strings{"local:dev"}, ClusterIDs: store.Strings{"*"}, Origin: file}},
		Clients: []store.Client{{
			ID: "bench", Name: "Bench", RedirectURIs: store.Strings{redirect}, PKCEOptional: true, FirstParty: true, Algorithm: alg,
			Grants: store.Strings{"authorization_code", "refresh_token"}, SecretHashes: store.Strings{secret.Hash("bench-secret")}, Origin: file,
		}},
	}
	hash, err := password.NewHasher().Hash(context.Background(), "bench-password")
	if err != nil {
		return set, err
	}
	for i := range 64 {
		set.LocalUsers = append(set.LocalUsers, store.LocalUser{Login: user(i), Email: user(i), GroupNames: store.Strings{"dev", "ops", "all"}, FileHash: hash, Origin: file})
	}
	for i := range 500 {
		set.Clusters = append(set.Clusters, store.Cluster{
			ID: "c" + strconv.Itoa(i), Name: "Cluster " + strconv.Itoa(i), Audience: "k8s-c" + strconv.Itoa(i), Server: "https://c" + strconv.Itoa(i) + ".test:6443",
			Mode: store.ModeDirect, Algorithm: alg, TokenSeconds: 600, Environment: "production", Origin: file,
		})
	}
	return set, nil
}

func fairlead(ctx context.Context, issuer string) (http.Handler, error) {
	fairleadserve.TuneMemory() // as its own main does
	cfg, err := config(os.Getenv("BENCH_DATABASE"), os.Getenv("BENCH_DSN"))
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	set, err := settings(os.Getenv("BENCH_ALG"))
	if err != nil {
		return nil, err
	}
	if err := s.ApplyFile(ctx, set, time.Now()); err != nil {
		return nil, err
	}
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	// The log is written, as in production; Dex's is at level error, as in its.
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	log := audit.NewLog(time.Now, logger, s, audit.NewStream(logger))
	provider, err := server.New(ctx, server.Config{
		URL: u, Store: s, Keyring: cfg.Keyring, Audit: log, Logger: logger, Now: time.Now, Types: all.Types(password.NewHasher()),
		RuntimeSettings: runtimesettings.New(runtimesettings.Values{Brand: "Bench"}), RequestsPerSecond: 1_000_000,
	})
	if err != nil {
		return nil, err
	}
	if err := provider.Keys.Maintain(ctx); err != nil {
		return nil, err
	}
	for _, job := range provider.Jobs() {
		go func() { _ = job(ctx) }()
	}
	pages, err := portal.New(portal.Config{
		Server: provider, Store: s, Audit: log, Now: time.Now, Ready: func(context.Context, string) (bool, string) { return true, "" },
	})
	if err != nil {
		return nil, err
	}
	return provider.Echo(pages)
}

// dex is Dex's server as its own main puts it together: users in its database,
// bcrypt cost 10, no consent page, one pool of forty connections.
func dex(ctx context.Context, issuer string) (http.Handler, error) {
	u, err := url.Parse(os.Getenv("BENCH_DSN"))
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return nil, err
	}
	pass, _ := u.User.Password()
	logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	storage, err := (&dexsql.Postgres{
		NetworkDB: dexsql.NetworkDB{Database: u.Path[1:], User: u.User.Username(), Password: pass, Host: u.Hostname(), Port: uint16(port), MaxOpenConns: 40, MaxIdleConns: 40},
		SSL:       dexsql.SSL{Mode: "disable"},
	}).Open(logger)
	if err != nil {
		return nil, err
	}
	if err := fillDex(ctx, storage); err != nil {
		return nil, err
	}
	keys, err := (&signer.LocalConfig{KeysRotationPeriod: "6h", Algorithm: jose.SignatureAlgorithm(os.Getenv("BENCH_ALG"))}).
		Open(ctx, storage, time.Hour, time.Now, logger)
	if err != nil {
		return nil, err
	}
	keys.Start(ctx)
	policy, err := dextokens.NewRefreshTokenPolicy(logger, true, "", "", "30s")
	if err != nil {
		return nil, err
	}
	return dexserver.NewServer(ctx, dexserver.Config{
		Issuer: issuer, Storage: storage, SkipApprovalScreen: true, IDTokensValidFor: time.Hour, RefreshTokenPolicy: policy, Logger: logger, Signer: keys,
		PrometheusRegistry: prometheus.NewRegistry(), HealthChecker: gosundheit.New(), Now: time.Now,
	})
}

func fillDex(ctx context.Context, storage dexstorage.Storage) error {
	if err := storage.CreateClient(ctx, dexstorage.Client{ID: "bench", Secret: "bench-secret", RedirectURIs: []string{redirect}, Name: "Bench"}); err != nil {
		return err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("bench-password"), 10)
	if err != nil {
		return err
	}
	for i := range 64 {
		if err := storage.CreatePassword(ctx, dexstorage.Password{
			Email: user(i), Hash: hash, Username: user(i), UserID: strconv.Itoa(i), Groups: []string{"dev", "ops", "all"},
		}); err != nil {
			return err
		}
	}
	return storage.CreateConnector(ctx, dexstorage.Connector{ID: dexconnectors.LocalConnector, Type: dexconnectors.LocalConnector, Name: "Email"})
}
