package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/proxy"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/forward"
)

// app is the running program.
type app struct {
	cfg       *config
	logger    *slog.Logger
	keys      *authn.KeySet
	forwarder *forward.Forwarder
	handler   http.Handler
	registry  *prometheus.Registry
	cert      *serve.Certificate
}

func newApp(cfg *config, logs io.Writer) (*app, error) {
	logger, err := logging.New(logs, cfg.Logging.Format, cfg.Logging.Level)
	if err != nil {
		return nil, err
	}
	upstream, err := credentials(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	forwarder, err := forward.FromConfig(upstream)
	if err != nil {
		return nil, err
	}
	cert, err := serve.LoadCertificate(cfg.TLS.Certificate, cfg.TLS.Key, time.Now, logger)
	if err != nil {
		return nil, err
	}
	issuer := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.issuerCAs},
	}}
	a := &app{
		cfg: cfg, logger: logger, forwarder: forwarder, registry: prometheus.NewRegistry(), cert: cert,
		keys: authn.NewKeySet(cfg.Issuer.URL, issuer, time.Now, logger),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fairlead_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	info.Set(1)
	a.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.handler = proxy.New(proxy.Config{
		Cluster: cfg.Cluster, Forwarder: forwarder, Logger: logger, Now: time.Now, Metrics: a.registry,
		Verifier:      &authn.Verifier{Issuer: cfg.Issuer.URL, Audience: cfg.Audience, Keys: a.keys, Now: time.Now},
		Audit:         audit.NewLog(time.Now, logger, audit.NewStream(logger)),
		ClientAddress: remoteAddress,
	})
	return a, nil
}

// credentials are those of a kubeconfig or, without one, of the pod.
func credentials(cfg upstreamConfig) (*rest.Config, error) {
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

func remoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

func (a *app) run(ctx context.Context, ln net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.keys.Run(ctx) })
	group.Go(func() error { return a.runHealth(ctx) })
	group.Go(func() error {
		err := (&serve.Server{
			Name: "proxy", Listener: ln, Handler: a.handler, Certificate: a.cert.Get, Drain: time.Duration(a.cfg.Drain), Logger: a.logger,
		}).Run(ctx)
		return err
	})
	group.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(a.cfg.Drain))
		defer cancel()
		a.forwarder.Drain(drain)
		return nil
	})
	return group.Wait()
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

const defaultTimeout = 30 * time.Second
