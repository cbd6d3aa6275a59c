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
	feed        *feed.Feed // nil when the file says all
	handler     http.Handler
	registry    *prometheus.Registry
	cert        *serve.Certificate
	upstream    *rest.Config
	identity    feed.Identity // empty when the file says all
	auditing    *auditing
}

// newApp makes the program. Enrol is a one-time code, used when the proxy has no identity
// yet.
func newApp(ctx context.Context, cfg *config, enrol string, logs io.Writer) (*app, error) {
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
	if err := a.setUpIssuer(ctx, client, enrol); err != nil {
		return nil, err
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fairlead_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	info.Set(1)
	a.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	what := proxy.Config{
		Cluster: cfg.Cluster, Forwarder: forwarder, Logger: logger, Now: time.Now, Metrics: a.registry, Revocations: a.revocations, Verifier: a.verifier,
		ClientAddress: clientaddr.Resolver(cfg.trusted), SendClientAddress: cfg.SendClientAddress,
	}
	if cfg.AccessHint {
		what.AccessPageURL = strings.TrimSuffix(cfg.Server.URL, "/") + "/clusters/" + url.PathEscape(cfg.Cluster)
	}
	a.upstream = upstream
	if err := a.addTrustedIssuers(upstream); err != nil {
		return nil, err
	}
	if a.auditing, err = a.newAuditing(ctx); err != nil {
		return nil, err
	}
	what.Audit, what.KubeAudit, what.Recorder = a.auditing.log, a.auditing.kubeAudit, a.auditing.recorder
	asker, err := userimpersonation.NewAccessReviewer(upstream)
	if err != nil {
		return nil, err
	}
	what.Impersonation = &userimpersonation.Authorizer{AccessReviewer: asker, Now: time.Now}
	if a.feed != nil {
		what.CheckAccess, what.StreamGracePeriod = a.feed.CheckAccess, a.feed.StreamGracePeriod
		a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fairlead_proxy_feed_heard_timestamp_seconds", Help: "When the sign-in server was heard of last.",
		}, func() float64 { return float64(a.feed.LastContact().Unix()) }))
	}
	a.handler = proxy.New(what)
	return a, nil
}

// listen learns whose tokens to take: from the file, or from the server that the proxy
// has enrolled at, or enrols at now with a code.
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

// take makes what checks tokens of an issuer.
func (a *app) newVerifier(client *http.Client, issuer, audience string) {
	a.keys = authn.NewKeySet(issuer, client, time.Now, a.logger)
	a.verifier = &authn.Verifier{Issuer: issuer, Audience: audience, Keys: a.keys, Now: time.Now}
}

// trust lets in who does not come from the sign-in server, where that is wanted.
func (a *app) addTrustedIssuers(upstream *rest.Config) (err error) {
	cfg := a.cfg.Authentication
	if cfg.File != "" {
		if a.verifier.TrustedIssuers, err = authenticationconfig.Load(cfg.File, a.verifier.Issuer, time.Now, a.logger); err != nil {
			return err
		}
	}
	if cfg.ServiceAccounts {
		reviewer, err := tokenreview.NewReviewer(upstream, cfg.Audiences, time.Now)
		if err != nil {
			return err
		}
		a.verifier.ReviewToken = reviewer.Review
	}
	return nil
}

// credentials are those of a kubeconfig or, without one, of the pod.
func upstreamCredentials(cfg upstreamConfig) (*rest.Config, error) {
	if cfg.Kubeconfig == "" {
		c, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding credentials: %w (outside a cluster set upstream.kubeconfig)", err)
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
			Name: "proxy", Listener: ln, Handler: a.handler, Certificate: a.cert.Get, Drain: time.Duration(a.cfg.Drain), Logger: a.logger,
		}).Run(ctx)
		return err
	})
	group.Go(func() error {
		<-ctx.Done()
		// What is left at the deadline is told, before the server hangs up on it.
		grace := min(streamEndGrace, time.Duration(a.cfg.Drain)/4)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(a.cfg.Drain)-grace)
		defer cancel()
		a.revocations.Drain(drain, grace, status.ProxyStopping())
		return nil
	})
	return a.auditing.runWhile(ctx, group.Wait)
}

// lookAtRights warns, once, of what the proxy may do and never does.
func (a *app) warnOfExcessPermissions(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	excess, err := leastprivilege.ExcessPermissions(asking, a.upstream)
	if err != nil {
		a.logger.InfoContext(ctx, "what the proxy may do is not known", "error", err)
		return nil
	}
	found := prometheus.NewGauge(prometheus.GaugeOpts{Name: "fairlead_proxy_excess_rights", Help: "Rights of the proxy's credential that it does not need. Should be 0."})
	found.Set(float64(len(excess)))
	a.registry.MustRegister(found)
	if len(excess) > 0 {
		a.logger.WarnContext(ctx, "the proxy's credential may do more than it needs: whoever breaks into the proxy may, too. Grant deploy/kubernetes/proxy-rbac.yaml and nothing else", "excess", excess)
	}
	return nil
}

// runHealth serves /livez, /readyz and /metrics, away from the door that people
// use.
func (a *app) runHealth(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Health.Listen)
	if err != nil {
		return fmt.Errorf("listening for health: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.keys.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "[-] issuer's keys: not fetched yet\n")
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	return (&serve.Server{Name: "health", Listener: ln, Handler: mux, Logger: a.logger, ReadTimeout: defaultTimeout, WriteTimeout: defaultTimeout}).Run(ctx)
}

// farewellGrace is how long streams have at the end to be told that it is.
const streamEndGrace = time.Second

const defaultTimeout = 30 * time.Second
