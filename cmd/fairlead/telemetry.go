package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
)

// telemetry holds the metrics and health checks. Labels are bounded: ids of configured entries and fixed words,
// never a user, a path or free text.
type telemetry struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	answers   *prometheus.CounterVec
	refreshes *prometheus.CounterVec
	logins    *prometheus.CounterVec
	tokens    *prometheus.CounterVec
	up        *prometheus.GaugeVec
	upstream  *prometheus.HistogramVec
}

// buckets range from a cached response to a hanging upstream.
func buckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func newTelemetry() *telemetry {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets()}, labels)
	}
	t := &telemetry{
		registry:  prometheus.NewRegistry(),
		requests:  counter("fairlead_http_requests_total", "Requests by method, route and status.", "method", "route", "code"),
		duration:  histogram("fairlead_http_request_duration_seconds", "Time to answer by route.", "route"),
		answers:   counter("fairlead_token_requests_total", "Answers of the token endpoint by grant and result.", "grant", "result"),
		refreshes: counter("fairlead_refresh_total", "Refreshes by result.", "result"),
		logins:    counter("fairlead_logins_total", "Sign-ins in a browser by connector, result and reason.", "connector", "result", "reason"),
		tokens:    counter("fairlead_tokens_issued_total", "Tokens issued by grant and client.", "grant", "client"),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_connector_up", Help: "Whether the connector's upstream answered when it was last asked.",
		}, []string{"connector"}),
		upstream: histogram("fairlead_connector_request_duration_seconds", "Time that a connector took.", "connector", "operation"),
	}
	t.registry.MustRegister(t.requests, t.duration, t.answers, t.refreshes, t.logins, t.tokens, t.up, t.upstream,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	t.constant("fairlead_build_info", "Always 1.", prometheus.Labels{"version": version.String()})
	return t
}

func (t *telemetry) constant(name, help string, labels prometheus.Labels) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	g.Set(1)
	t.registry.MustRegister(g)
}

// gauge adds a metric that is computed for each scrape.
func (t *telemetry) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	t.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// observe counts a request. The route is a pattern and not a path, so that the number of series is bounded.
func (t *telemetry) observe(method, route string, status int, took time.Duration) {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodHead}, method) {
		method = "other"
	}
	t.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	t.duration.WithLabelValues(route).Observe(took.Seconds())
}

// issued counts a response of the token endpoint.
func (t *telemetry) issued(grant, result string) {
	t.answers.WithLabelValues(grant, result).Inc()
	if grant == oauth.GrantRefreshToken {
		t.refreshes.WithLabelValues(result).Inc()
	}
}

// asked records the result of a call to a connector.
func (t *telemetry) asked(connector, operation string, took time.Duration, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	t.up.WithLabelValues(connector).Set(value)
	t.upstream.WithLabelValues(connector, operation).Observe(took.Seconds())
}

var _ audit.Sink = (*telemetry)(nil)

// WriteEvent counts audit events, which record every decision.
func (t *telemetry) WriteEvent(_ context.Context, e audit.Event) error {
	switch e.Name {
	case audit.SignInSucceeded:
		t.logins.WithLabelValues(e.ConnectorID, "succeeded", "").Inc()
	case audit.SignInFailed:
		t.logins.WithLabelValues(e.ConnectorID, "failed", e.Reason).Inc()
	case audit.SignInRefused:
		t.logins.WithLabelValues(e.ConnectorID, "refused", e.Reason).Inc()
	case audit.TokenIssued:
		t.tokens.WithLabelValues(e.Reason, e.ClientID).Inc()
	default:
	}
	return nil
}

// checkTimeout is the deadline of a readiness check, so that an exhausted connection pool fails it.
const checkTimeout = 3 * time.Second

// handler serves /metrics, /livez and /readyz (with ?verbose).
func (t *telemetry) handler(checks map[string]func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	ready := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		report, healthy := "", true
		for _, name := range slices.Sorted(maps.Keys(checks)) {
			if err := checks[name](ctx); err != nil {
				healthy = false
				report += fmt.Sprintf("[-] %s: %v\n", name, err)
				continue
			}
			report += "[+] " + name + "\n"
		}
		if !healthy {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if !healthy || r.URL.Query().Has("verbose") {
			_, _ = io.WriteString(w, report)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	}
	mux.HandleFunc("GET /readyz", ready)
	mux.HandleFunc("GET /healthz", ready)
	return mux
}

// readiness returns the status at a cluster's status URL, such as that of the demo cluster during its build.
type readiness struct{ client *http.Client }

func newReadiness() *readiness {
	return &readiness{client: &http.Client{Timeout: time.Second}}
}

// maxStatus bounds the response in bytes.
const maxStatus = 4096

func (r *readiness) ask(ctx context.Context, address string) (ready bool, doing string) {
	const unknown = "no answer yet"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false, unknown
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return false, unknown
	}
	defer func() { _ = resp.Body.Close() }()
	var status struct {
		Ready bool   `json:"ready"`
		Doing string `json:"doing"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&status); err != nil {
		return false, unknown
	}
	return status.Ready, status.Doing
}
