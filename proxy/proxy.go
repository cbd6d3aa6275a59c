// Package proxy is the impersonating proxy for one cluster. The handler decides
// in this order and refuses at each step when in doubt: who is it, what may be
// sent on, and only then forward.
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

// Config is what a Proxy needs.
type Config struct {
	// Cluster is the name of the cluster, for logs.
	Cluster   string
	Verifier  *authn.Verifier
	Forwarder *forward.Forwarder
	// Cutoff ends what is open when access is taken away.
	Revocations *revocation.Registry
	// ActAs asks whether somebody may act as somebody else (kubectl --as). Nil refuses it.
	Impersonation *userimpersonation.Authorizer
	// Admit is the sign-in server's say, beyond what Cutoff holds: it refuses while that has
	// not been heard of for too long, where that was chosen, and asks it about whom it must,
	// so that Cutoff knows. Nil never refuses.
	CheckAccess func(ctx context.Context, id *authn.Identity) *status.Error
	// AfterExpiry is how long a stream may go on after its token has expired. Negative
	// means as long as it likes.
	StreamGracePeriod func() time.Duration
	// Audit is what the sign-in server's people look at; Events are what those of the
	// cluster do. Nil Events keep nothing.
	Audit     *audit.Log
	KubeAudit *kubeaudit.Log
	// Recorder records shells. Nil records none.
	Recorder *recorder.Recorder
	Logger   *slog.Logger
	Now      func() time.Time
	// Metrics registers the proxy's metrics; nil means none.
	Metrics prometheus.Registerer
	// AccessPage, when set, is where people see what they may do and why: the API server's
	// refusals get it added.
	AccessPageURL string
	// SendAddress tells the API server where a request comes from, as an extra value.
	SendClientAddress bool
	// ClientAddress says where a request comes from.
	ClientAddress func(r *http.Request) string
}

// Proxy is the handler.
type Proxy struct {
	cfg      Config
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refusals *prometheus.CounterVec
}

// New returns the handler.
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
	x := &exchange{p: p, w: w, r: r.WithContext(logging.WithRequestID(r.Context(), id)), received: p.cfg.Now(), clientAddress: p.cfg.ClientAddress(r)}
	defer x.finish()                          //nolint:contextcheck // it is the request's
	if refusal := x.serve(); refusal != nil { //nolint:contextcheck // it is the request's
		x.refuse(refusal) //nolint:contextcheck // it is the request's
	}
}

// stackRoom is what a request needs of its goroutine's stack, in bytes.
const stackBytes = 8 << 10

// growStack makes room once. HTTP/2 gives each request a new goroutine with a stack of 2 KB:
// to let it grow step by step, deep in the calls, costs a twentieth of a small request.
//
//go:noinline
func growStack() {
	var room [stackBytes]byte
	runtime.KeepAlive(&room)
}
