// Package proxy provides the HTTP handler of the impersonating proxy for one cluster. The handler
// authenticates a request, checks revocations, computes the headers, and forwards the request. It refuses
// the request if a step fails.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/kubeaudit"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/proxy/userimpersonation"
)

// Config is the configuration of a Proxy.
type Config struct {
	// Cluster is the cluster's ID, for audit events.
	Cluster   string
	Verifier  *authn.Verifier
	Forwarder *forward.Forwarder
	// Revocations holds the open streams and the revoked users.
	Revocations *revocation.Registry
	// Impersonation authorizes "kubectl --as". Nil refuses it.
	Impersonation *userimpersonation.Authorizer
	// CheckAccess, when set, refuses a request by the state of the Fairlead server's feed, before
	// Revocations is checked.
	CheckAccess func(ctx context.Context, id *authn.Identity) *status.Error
	// StreamGracePeriod returns how long a stream may outlive its token. Negative means without
	// limit.
	StreamGracePeriod func() time.Duration
	// Audit writes events for the Fairlead server's audit log. KubeAudit writes audit.k8s.io
	// events; nil writes none.
	Audit     *audit.Log
	KubeAudit *kubeaudit.Log
	// Recorder records terminal sessions. Nil records none.
	Recorder *recorder.Recorder
	Logger   *slog.Logger
	Now      func() time.Time
	// Metrics registers the proxy's metrics. Nil registers none.
	Metrics prometheus.Registerer
	// AccessPageURL, when set, is added to the API server's 403 responses. The page shows users
	// what they may do and why.
	AccessPageURL string
	// SendClientAddress sends the client's address to the API server as an extra value.
	SendClientAddress bool
	// ClientAddress returns the client's address.
	ClientAddress func(r *http.Request) string
}

// Proxy is the HTTP handler.
type Proxy struct {
	cfg      Config
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refusals *prometheus.CounterVec
}

// New returns the HTTP handler.
func New(cfg Config) *Proxy {
	if cfg.Revocations == nil {
		cfg.Revocations = &revocation.Registry{}
	}
	if cfg.StreamGracePeriod == nil {
		cfg.StreamGracePeriod = func() time.Duration { return -1 }
	}
	p := &Proxy{
		cfg: cfg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_requests_total", Help: "Requests that were forwarded, by how and by status.",
		}, []string{"kind", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_proxy_request_duration_seconds", Help: "Time of requests that are no streams.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_refusals_total", Help: "Requests that were refused by the proxy, by reason.",
		}, []string{"reason"}),
	}
	if cfg.Metrics != nil {
		open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fairlead_proxy_open_streams", Help: "Open shells, port-forwards, watches and followed logs.",
		}, func() float64 { return float64(cfg.Revocations.OpenStreams()) })
		cfg.Metrics.MustRegister(p.requests, p.duration, p.refusals, open)
	}
	return p
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	growStack()
	id := logging.NewRequestID(r.Header.Get("X-Request-Id"))
	w.Header().Set("X-Request-Id", id)
	x := &exchange{proxy: p, writer: w, request: r.WithContext(logging.WithRequestID(r.Context(), id)), received: p.cfg.Now(), clientAddress: p.cfg.ClientAddress(r)}
	defer x.finish()                          //nolint:contextcheck // uses the request's context
	if refusal := x.serve(); refusal != nil { //nolint:contextcheck // uses the request's context
		x.refuse(refusal) //nolint:contextcheck // uses the request's context
	}
}

// stackBytes is the stack size that a request needs.
const stackBytes = 8 << 10

// growStack grows the goroutine's stack once. HTTP/2 gives each request a new goroutine with a stack of
// 2 KB. Growing it in several steps takes 5% of the time of a small request.
//
//go:noinline
func growStack() {
	var room [stackBytes]byte
	runtime.KeepAlive(&room)
}
