package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/migrations"
	"github.com/fairlead-auth/fairlead/portal"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// app holds the parts of the running program.
type app struct {
	cfg       *config
	logger    *slog.Logger
	store     *store.Store
	provider  *server.Server
	router    *echo.Echo
	telemetry *telemetry
	live      *liveCount
	reloader  *reloader
}

// openStore opens the configured database.
func openStore(ctx context.Context, cfg *config, logger *slog.Logger) (*store.Store, *secret.Keyring, error) {
	ring, err := cfg.keyring()
	if err != nil {
		return nil, nil, err
	}
	dsn := cfg.Database.URL.Value
	if cfg.Database.Driver == string(migrations.SQLite) {
		dsn = secret.NewValue(cfg.Database.Path)
	}
	s, err := store.Open(ctx, store.Config{
		Driver: migrations.Dialect(cfg.Database.Driver), DSN: dsn, MaxConnections: cfg.Database.MaxConnections,
		FastSync: cfg.Database.FastSync, Keyring: ring, Logger: logger, Now: time.Now,
	})
	return s, ring, err
}

// newApp opens the parts in order. The log and the audit stream go to logs.
func newApp(ctx context.Context, cfg *config, logs io.Writer) (*app, error) {
	logger, err := logging.New(logs, cfg.Logging.Format, cfg.Logging.Level)
	if err != nil {
		return nil, err
	}
	hasher := password.NewHasher()
	types := all.Types(hasher)
	settings, err := cfg.settings(types)
	if err != nil {
		return nil, err
	}
	s, ring, err := openStore(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	a := &app{cfg: cfg, logger: logger, store: s, telemetry: newTelemetry(), live: &liveCount{store: s}}
	if err := a.build(ctx, settings, parts{ring: ring, types: types, hasher: hasher}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return a, nil
}

// parts are shared by the provider and the portal.
type parts struct {
	ring   *secret.Keyring
	types  map[string]connectors.Type
	hasher *password.Hasher
}

func (a *app) build(ctx context.Context, settings store.Settings, p parts) error {
	log := audit.NewLog(time.Now, a.logger, a.store, audit.NewStream(a.logger), a.telemetry)
	if err := a.store.ApplyFile(ctx, settings, time.Now()); err != nil {
		return err
	}
	log.Record(ctx, audit.Event{Name: audit.SettingsLoaded, Detail: a.cfg.file})
	provider, err := server.New(ctx, server.Config{
		URL: a.cfg.url, Store: a.store, Keyring: p.ring, Audit: log, Logger: a.logger, Now: time.Now, Types: p.types, Hasher: p.hasher, ReadOnly: a.cfg.UI.ReadOnly,
		RuntimeSettings: a.cfg.live(),
		KeyRotation:     time.Duration(a.cfg.Keys.RotateEvery), TrustedProxies: prefixes(a.cfg.TrustedProxies),
		PasswordWindow: time.Duration(a.cfg.Limits.PasswordWindow), RequestsPerSecond: a.cfg.Limits.RequestsPerSecond,
		RecordingRetention: time.Duration(a.cfg.Recordings.Days) * 24 * time.Hour, RecordingMaxBytes: a.cfg.Recordings.MaxMegabytes << 20,
		SetupCodes: a.cfg.Kubeconfig.SetupCodes,
		Demo:       a.cfg.Demo, ObserveRequest: a.telemetry.observe, ObserveToken: a.telemetry.issued, ObserveUpstream: a.telemetry.asked,
	})
	if err != nil {
		return err
	}
	a.provider = provider
	if err := provider.Admin.Refresh(ctx); err != nil {
		return err
	}
	a.reloader = &reloader{app: a, types: p.types, audit: log, seen: a.cfg.sum}
	a.figures() //nolint:contextcheck // read for each scrape of the metrics
	effective, err := a.cfg.effective()
	if err != nil {
		return err
	}
	pages, err := portal.New(portal.Config{
		Server: provider, Store: a.store, Audit: log, Now: time.Now, ContextPrefix: a.cfg.Kubeconfig.ContextPrefix,
		IssuerCA: a.cfg.IssuerCA.Reveal(), Ready: newReadiness().ask,
		Types: p.types, Probe: lookAt, Effective: effective, Keyring: p.ring, Plugins: a.cfg.plugins(), Logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.router, err = provider.Echo(pages) //nolint:contextcheck // each request has its own context
	return err
}

// welcome prints the setup link if the server has no admin yet. The demo has admins.
func (a *app) welcome(ctx context.Context, w io.Writer) error {
	needed, err := a.provider.Admin.NeedsSetup(ctx)
	if err != nil || !needed || a.cfg.Demo {
		return err
	}
	token, err := a.provider.Admin.SetupLink(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Set up this server with this one-time link, valid for one hour: %s/admin/setup?token=%s\n", a.cfg.URL, token)
	return err
}

// figures adds the metrics that are computed for each scrape.
func (a *app) figures() {
	a.telemetry.gauge("fairlead_config_reload_success", "0 while the configuration file has faults and what it said before still holds.", nil,
		func() float64 {
			if a.provider.Admin.FileFault() != "" {
				return 0
			}
			return 1
		})
	for _, alg := range keys.Algorithms() {
		a.telemetry.gauge("fairlead_signing_key_rotation_timestamp_seconds", "When the key that signs is due to be replaced.",
			prometheus.Labels{"algorithm": string(alg)}, func() float64 { return seconds(a.provider.Keys.NextRotation(alg)) })
	}
	for kind, count := range map[string]func(store.ActiveSessions) int64{
		"sign_in": func(l store.ActiveSessions) int64 { return l.SignIns }, "device": func(l store.ActiveSessions) int64 { return l.Devices },
	} {
		a.telemetry.gauge("fairlead_sessions", "Live sign-ins and devices, counted at most every five minutes.",
			prometheus.Labels{"kind": kind}, func() float64 { return float64(count(a.live.get())) })
	}
	for state, count := range map[string]func(store.Pool) int{
		"in_use": func(p store.Pool) int { return p.InUse }, "idle": func(p store.Pool) int { return p.Idle }, "limit": func(p store.Pool) int { return p.Limit },
	} {
		a.telemetry.gauge("fairlead_database_connections", "Connections of the pool.", prometheus.Labels{"state": state},
			func() float64 { return float64(count(a.store.Pool())) })
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

// countEvery is the least time between two counts of live sessions, because a count reads a whole index.
const countEvery = 5 * time.Minute

// liveCount remembers the last count.
type liveCount struct {
	store *store.Store

	mu   sync.Mutex
	last store.ActiveSessions
	at   time.Time
}

func (c *liveCount) get() store.ActiveSessions {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.at) >= countEvery {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		if fresh, err := c.store.CountActiveSessions(ctx, now); err == nil {
			c.last, c.at = fresh, now
		}
	}
	return c.last
}

func prefixes(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text)) // validated when the file was loaded
	}
	return list
}

const (
	readTimeout  = 30 * time.Second
	writeTimeout = time.Minute
	drain        = 20 * time.Second
)

// run serves until ctx ends, and closes the listener.
func (a *app) run(ctx context.Context, ln net.Listener) error {
	web := &serve.Server{
		Name: "web", Listener: ln, Logger: a.logger,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, Drain: drain,
	}
	if a.cfg.TLS.Certificate != "" {
		certificate, err := serve.LoadCertificate(a.cfg.TLS.Certificate, a.cfg.TLS.Key, time.Now, a.logger)
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		web.Certificate = certificate.Get
		a.telemetry.gauge("fairlead_certificate_expiry_timestamp_seconds", "When a certificate ends.",
			prometheus.Labels{"kind": "server", "id": a.cfg.url.Host}, func() float64 { return seconds(certificate.Expires()) })
	}
	handler, stopTracing, err := traced(ctx, a.router)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	web.Handler = handler
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.reloader.run(ctx) })
	for _, job := range a.provider.Jobs() {
		group.Go(func() error { return job(ctx) })
	}
	group.Go(func() error { return web.Run(ctx) })
	if a.cfg.Telemetry.Listen != "" {
		group.Go(func() error { return a.runTelemetry(ctx) })
	}
	return errors.Join(group.Wait(), stopTracing(), a.store.Close())
}

func (a *app) runTelemetry(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Telemetry.Listen)
	if err != nil {
		return fmt.Errorf("listening for telemetry: %w", err)
	}
	handler := a.telemetry.handler(map[string]func(context.Context) error{
		"database": a.store.Ping,
		"signing keys": func(context.Context) error {
			if !a.provider.Keys.Ready() {
				return errors.New("being made")
			}
			return nil
		},
	})
	return (&serve.Server{Name: "telemetry", Listener: ln, Handler: handler, Logger: a.logger, ReadTimeout: readTimeout, WriteTimeout: writeTimeout}).Run(ctx)
}
