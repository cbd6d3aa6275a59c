package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/proxy"
	"github.com/fairlead-auth/fairlead/proxy/authenticationconfig"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/clientaddr"
	"github.com/fairlead-auth/fairlead/proxy/feed"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/leastprivilege"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/proxy/tokenreview"
	"github.com/fairlead-auth/fairlead/proxy/userimpersonation"
)

// app is the running program.
type app struct {
	cfg         *config
	logger      *slog.Logger
	keys        *authn.KeySet
	forwarder   *forward.Forwarder
	verifier    *authn.Verifier
	revocations *revocation.Registry
	feed        *feed.Feed // nil without server.url
	handler     http.Handler
	registry    *prometheus.Registry
	cert        *serve.Certificate
	upstream    *rest.Config
	identity    feed.Identity // empty without server.url
	auditing    *auditing
}

// newApp creates the program. The one-time enrolment code is used only if the proxy has no
// identity yet.
func newApp(ctx context.Context, cfg *config, enrolmentCode string, logs io.Writer) (*app, error) {
	logger, err := logging.New(logs, cfg.Logging.Format, cfg.Logging.Level)
	if err != nil {
		return nil, err
	}
	upstream, err := upstreamCredentials(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	forwarder, err := forward.New(upstream)
	if err != nil {
		return nil, err
	}
	cert, err := serve.LoadCertificate(cfg.TLS.Certificate, cfg.TLS.Key, time.Now, logger)
	if err != nil {
		return nil, err
	}
	a := &app{cfg: cfg, logger: logger, forwarder: forwarder, registry: prometheus.NewRegistry(), cert: cert}
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.issuerCAs},
	}}
	if err := a.setUpIssuer(ctx, client, enrolmentCode); err != nil {
		return nil, err
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fairlead_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	info.Set(1)
	a.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	proxyConfig := proxy.Config{
		Cluster: cfg.Cluster, Forwarder: forwarder, Logger: logger, Now: time.Now, Metrics: a.registry, Revocations: a.revocations, Verifier: a.verifier,
		ClientAddress: clientaddr.Resolver(cfg.trusted), SendClientAddress: cfg.SendClientAddress,
	}
	if cfg.AccessHint {
		proxyConfig.AccessPageURL = strings.TrimSuffix(cfg.Server.URL, "/") + "/clusters/" + url.PathEscape(cfg.Cluster)
	}
	a.upstream = upstream
	if err := a.addTrustedIssuers(upstream); err != nil {
		return nil, err
	}
	if a.auditing, err = a.newAuditing(ctx); err != nil {
		return nil, err
	}
	proxyConfig.Audit, proxyConfig.KubeAudit, proxyConfig.Recorder = a.auditing.log, a.auditing.kubeAudit, a.auditing.recorder
	reviewer, err := userimpersonation.NewAccessReviewer(upstream)
	if err != nil {
		return nil, err
	}
	proxyConfig.Impersonation = &userimpersonation.Authorizer{AccessReviewer: reviewer, Now: time.Now}
	if a.feed != nil {
		proxyConfig.CheckAccess, proxyConfig.StreamGracePeriod = a.feed.CheckAccess, a.feed.StreamGracePeriod
		a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fairlead_proxy_feed_last_contact_timestamp_seconds", Help: "Time of the last update from the Fairlead server.",
		}, func() float64 { return float64(a.feed.LastContact().Unix()) }))
	}
	a.handler = proxy.New(proxyConfig)
	return a, nil
}

// setUpIssuer creates the verifier and the feed. Issuer and audience come from the configuration
// file or from the Fairlead server, at which the proxy enrols with the code if it has to.
func (a *app) setUpIssuer(ctx context.Context, client *http.Client, code string) error {
	a.revocations = &revocation.Registry{MaxStreamsPerUser: a.cfg.Limits.StreamsPerUser}
	if a.cfg.Server.URL == "" {
		a.newVerifier(client, a.cfg.Issuer.URL, a.cfg.Audience)
		return nil
	}
	dir := feed.Dir(a.cfg.State)
	id, err := dir.LoadIdentity()
	if errors.Is(err, feed.ErrNotEnrolled) && code != "" {
		host, errHost := os.Hostname()
		if errHost != nil {
			host = "proxy"
		}
		if id, err = feed.Enrol(ctx, client, dir, feed.EnrolmentRequest{Server: a.cfg.Server.URL, Code: code, Name: host}); err == nil {
			a.logger.InfoContext(ctx, "enrolled", "server", id.Server, "id", id.ID)
		}
	}
	if err != nil {
		return err
	}
	a.identity = id
	a.newVerifier(client, id.Server, "")
	a.feed, err = feed.Open(ctx, feed.Config{
		Identity: id, Dir: dir, HTTP: client, Revocations: a.revocations, RecentUsers: a.verifier.RecentUsers, ExportKeys: a.keys.Export, ImportKeys: a.keys.Import, Now: time.Now, Logger: a.logger,
		SettingsChanged: func(s proxyfeed.Settings) { a.verifier.SetAudience(s.Audience) },
	})
	if err != nil {
		return err
	}
	s := a.feed.Settings()
	a.cfg.Cluster = s.Cluster
	a.verifier.SetAudience(s.Audience)
	return nil
}

// newVerifier creates the verifier for tokens of the issuer, and its key set.
func (a *app) newVerifier(client *http.Client, issuer, audience string) {
	a.keys = authn.NewKeySet(issuer, client, time.Now, a.logger)
	a.verifier = &authn.Verifier{Issuer: issuer, Audience: audience, Keys: a.keys, Now: time.Now}
}

// addTrustedIssuers makes the verifier accept the other token issuers of the configuration.
func (a *app) addTrustedIssuers(upstream *rest.Config) (err error) {
	cfg := a.cfg.Authentication
	if cfg.File != "" {
		if a.verifier.TrustedIssuers, err = authenticationconfig.Load(cfg.File, a.verifier.Issuer, time.Now, a.logger); err != nil {
			return err
		}
	}
	if cfg.ServiceAccountTokens {
		reviewer, err := tokenreview.NewReviewer(upstream, cfg.ServiceAccountAudiences, time.Now)
		if err != nil {
			return err
		}
		a.verifier.ReviewToken = reviewer.Review
	}
	return nil
}

// upstreamCredentials returns the credentials of the kubeconfig or, without one, of the pod.
func upstreamCredentials(cfg upstreamConfig) (*rest.Config, error) {
	if cfg.Kubeconfig == "" {
		c, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the pod's service account: %w. Outside a cluster, set upstream.kubeconfig", err)
		}
		return c, nil
	}
	c, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: cfg.Kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: cfg.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading upstream.kubeconfig: %w", err)
	}
	return c, nil
}

func (a *app) run(ctx context.Context, ln net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.keys.Run(ctx) })
	for _, other := range a.verifier.TrustedIssuers {
		group.Go(func() error { return other.Keys.Run(ctx) })
	}
	group.Go(func() error { return a.runHealth(ctx) })
	group.Go(func() error { return a.forwarder.Run(ctx) })
	group.Go(func() error { return a.warnOfExcessPermissions(ctx) })
	if a.feed != nil {
		group.Go(func() error { return a.feed.Run(ctx) })
	}
	group.Go(func() error {
		err := (&serve.Server{
			Name: "proxy", Listener: ln, Handler: a.handler, Certificate: a.cert.Get, Drain: time.Duration(a.cfg.DrainTimeout), Logger: a.logger,
		}).Run(ctx)
		return err
	})
	group.Go(func() error {
		<-ctx.Done()
		// Ends the remaining streams with a message shortly before the server closes their
		// connections.
		grace := min(streamEndGrace, time.Duration(a.cfg.DrainTimeout)/4)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(a.cfg.DrainTimeout)-grace)
		defer cancel()
		a.revocations.Drain(drain, grace, status.ProxyStopping())
		return nil
	})
	return a.auditing.runWhile(ctx, group.Wait)
}

// warnOfExcessPermissions warns once about permissions that the proxy has and never uses.
func (a *app) warnOfExcessPermissions(ctx context.Context) error {
	reviewCtx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	excess, err := leastprivilege.ExcessPermissions(reviewCtx, a.upstream)
	if err != nil {
		a.logger.InfoContext(ctx, "the proxy's own permissions are unknown", "error", err)
		return nil
	}
	found := prometheus.NewGauge(prometheus.GaugeOpts{Name: "fairlead_proxy_excess_permissions", Help: "Permissions of the proxy's credential that the proxy does not need. Should be 0."})
	found.Set(float64(len(excess)))
	a.registry.MustRegister(found)
	if len(excess) > 0 {
		a.logger.WarnContext(ctx, "the proxy's credential has permissions that the proxy does not need, which an attacker in the proxy could use. Grant only deploy/kubernetes/proxy-rbac.yaml", "excess", excess)
	}
	return nil
}

// runHealth serves /livez, /readyz and /metrics on a listener of their own.
func (a *app) runHealth(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Health.Listen)
	if err != nil {
		return fmt.Errorf("listening on health.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.keys.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "[-] issuer keys: not fetched yet\n")
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	return (&serve.Server{Name: "health", Listener: ln, Handler: mux, Logger: a.logger, ReadTimeout: defaultTimeout, WriteTimeout: defaultTimeout}).Run(ctx)
}

// streamEndGrace is the time in which open streams receive their final message when the proxy
// stops.
const streamEndGrace = time.Second

const defaultTimeout = 30 * time.Second
