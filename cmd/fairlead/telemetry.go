package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairlead-auth/fairlead/internal/version"
)

// telemetry is the metrics and the health checks.
type telemetry struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
}

func newTelemetry() *telemetry {
	t := &telemetry{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_http_requests_total", Help: "Requests by method, route and status.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_http_request_duration_seconds", Help: "Time to answer by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_token_requests_total", Help: "Answers of the token endpoint by grant and result.",
		}, []string{"grant", "result"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fairlead_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	info.Set(1)
	t.registry.MustRegister(t.requests, t.duration, t.tokens, info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

// observe counts a request. The route is a pattern, never a path, so that the
// number of series is bounded.
func (t *telemetry) observe(method, route string, status int, took time.Duration) {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodHead}, method) {
		method = "other"
	}
	t.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	t.duration.WithLabelValues(route).Observe(took.Seconds())
}

func (t *telemetry) issued(grant, result string) { t.tokens.WithLabelValues(grant, result).Inc() }

// checkTimeout bounds a readiness check, so that it notices a pool that is
// stuck.
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
		for _, name := range sortedKeys(checks) {
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

// readiness asks the status address of a cluster, such as that of the demo's
// while it is being built.
type readiness struct{ client *http.Client }

func newReadiness() *readiness {
	return &readiness{client: &http.Client{Timeout: time.Second}}
}

// maxStatus bounds the answer in bytes.
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
