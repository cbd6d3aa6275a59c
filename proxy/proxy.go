// Package proxy is the impersonating proxy for one cluster. The handler decides
// in this order and refuses at each step when in doubt: who is it, what may be
// sent on, and only then forward.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/proxy/actas"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/cutoff"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/impersonate"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// Config is what a Proxy needs.
type Config struct {
	// Cluster is the name of the cluster, for logs.
	Cluster   string
	Verifier  *authn.Verifier
	Forwarder *forward.Forwarder
	// Cutoff ends what is open when access is taken away.
	Cutoff *cutoff.Registry
	// ActAs asks whether somebody may act as somebody else (kubectl --as). Nil refuses it.
	ActAs *actas.Reviewer
	// Admit is the sign-in server's say, beyond what Cutoff holds: it refuses while that has
	// not been heard of for too long, where that was chosen, and asks it about whom it must,
	// so that Cutoff knows. Nil never refuses.
	Admit func(ctx context.Context, id *authn.Identity) *status.Error
	// AfterExpiry is how long a stream may go on after its token has expired. Negative
	// means as long as it likes.
	AfterExpiry func() time.Duration
	Audit       *audit.Log
	Logger      *slog.Logger
	Now         func() time.Time
	// Metrics registers the proxy's metrics; nil means none.
	Metrics prometheus.Registerer
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
	if cfg.Cutoff == nil {
		cfg.Cutoff = &cutoff.Registry{}
	}
	if cfg.AfterExpiry == nil {
		cfg.AfterExpiry = func() time.Duration { return -1 }
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
			Name: "fairlead_proxy_open_tunnels", Help: "Open exec, attach and port-forward connections.",
		}, func() float64 { return float64(cfg.Forwarder.Open()) })
		cfg.Metrics.MustRegister(p.requests, p.duration, p.refusals, open)
	}
	return p
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := logging.NewRequestID(r.Header.Get("X-Request-Id"))
	r = r.WithContext(logging.WithRequestID(r.Context(), id))
	w.Header().Set("X-Request-Id", id)
	began := p.cfg.Now()
	identity, refusal := p.cfg.Verifier.Authenticate(r)
	if refusal != nil {
		p.refuse(w, r, nil, refusal)
		return
	}
	kind := forward.Classify(r)
	life, done, refusal := p.admit(r, identity, kind)
	if refusal != nil {
		p.refuse(w, r, identity, refusal)
		return
	}
	defer done()
	r = r.WithContext(life) //nolint:contextcheck // admit made it of the request's own
	out, target, refusal := p.headers(r, identity)
	if refusal != nil {
		p.refuse(w, r, identity, refusal)
		return
	}
	defer p.record(r, identity, target, kind, began)()
	result, refusal := p.cfg.Forwarder.Forward(&counting{ResponseWriter: w, proxy: p, kind: kind, method: method(r)}, r, out, kind)
	if refusal != nil {
		p.refuse(w, r, identity, refusal)
		return
	}
	p.recordEnd(r, identity, result)
	if result.Code == http.StatusSwitchingProtocols {
		p.requests.WithLabelValues(string(kind), method(r), strconv.Itoa(result.Code)).Inc()
	}
}

// headers are what is sent on: those of the person, or of whom they act as (target) when
// the API server lets them.
func (p *Proxy) headers(r *http.Request, id *authn.Identity) (out http.Header, target *authn.Identity, refusal *status.Error) {
	if p.cfg.ActAs == nil || !actas.Wanted(r.Header) {
		out, refusal = impersonate.Headers(r.Header, id)
		return out, nil, refusal
	}
	wish, refusal := actas.Read(r.Header)
	if refusal == nil {
		refusal = p.cfg.ActAs.Allow(r.Context(), id, wish)
	}
	if refusal != nil {
		return nil, nil, refusal
	}
	out, refusal = impersonate.HeadersAs(r.Header, wish.Target)
	return out, wish.Target, refusal
}

// admit refuses who has lost their access since the token was issued, and registers
// what may be open for long. The returned context is how long it may.
func (p *Proxy) admit(r *http.Request, id *authn.Identity, kind forward.Kind) (life context.Context, done func(), refusal *status.Error) {
	if p.cfg.Admit != nil {
		if refusal := p.cfg.Admit(r.Context(), id); refusal != nil {
			return nil, nil, refusal
		}
	}
	if kind == forward.Short {
		return r.Context(), func() {}, p.cfg.Cutoff.Check(id)
	}
	ctx := r.Context()
	if kind == forward.Upgrade { // the handler's own context ends when the connection is taken over
		ctx = context.WithoutCancel(ctx)
	}
	var lasts time.Time
	if after := p.cfg.AfterExpiry(); after >= 0 {
		lasts = id.Expires.Add(after)
	}
	return p.cfg.Cutoff.Begin(ctx, id, lasts)
}

// recordEnd records a stream that was ended because access was taken away.
func (p *Proxy) recordEnd(r *http.Request, id *authn.Identity, result forward.Result) {
	why, ok := errors.AsType[*status.Error](context.Cause(r.Context()))
	if !ok {
		return
	}
	p.refusals.WithLabelValues(why.Word).Inc()
	p.cfg.Audit.Record(r.Context(), audit.Event{
		Name: audit.ProxyStreamEnded, ClusterID: p.cfg.Cluster, UserName: id.User, UserID: id.UID, TokenID: id.TokenID, Address: p.cfg.ClientAddress(r),
		Reason: why.Word, Detail: fmt.Sprintf("%s %s: ended after %d bytes", method(r), r.URL.EscapedPath(), result.Bytes),
	})
}

// counting counts the status that is written. Flush and Hijack reach the
// original through Unwrap.
type counting struct {
	http.ResponseWriter
	proxy  *Proxy
	kind   forward.Kind
	method string
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader counts.
func (c *counting) WriteHeader(code int) {
	c.proxy.requests.WithLabelValues(string(c.kind), c.method, strconv.Itoa(code)).Inc()
	c.ResponseWriter.WriteHeader(code)
}

// method bounds the number of series.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// record records a request before it is forwarded, so that nothing reaches the
// API server unrecorded. The path is without its query, which can hold the
// command of an exec. What it returns is called at the end.
func (p *Proxy) record(r *http.Request, id, target *authn.Identity, kind forward.Kind, began time.Time) (end func()) {
	event := audit.Event{
		Name: audit.ProxyRequest, ClusterID: p.cfg.Cluster, UserName: id.User, UserID: id.UID, TokenID: id.TokenID,
		Address: p.cfg.ClientAddress(r), Reason: string(kind), Detail: method(r) + " " + r.URL.EscapedPath(),
	}
	if target != nil {
		event.Detail += fmt.Sprintf(" as %q in %q", target.User, target.Groups)
	}
	p.cfg.Audit.Record(r.Context(), event)
	return func() { //nolint:contextcheck // it logs with the request's own
		took := p.cfg.Now().Sub(began)
		if kind == forward.Short {
			p.duration.WithLabelValues(method(r)).Observe(took.Seconds())
		}
		p.cfg.Logger.DebugContext(r.Context(), "request ended", "user", id.User, "groups", len(id.Groups), "kind", string(kind),
			"path", r.URL.EscapedPath(), "milliseconds", took.Milliseconds())
	}
}

// refuse answers and records.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, id *authn.Identity, refusal *status.Error) {
	p.refusals.WithLabelValues(refusal.Word).Inc()
	event := audit.Event{
		Name: audit.ProxyRefused, ClusterID: p.cfg.Cluster, Address: p.cfg.ClientAddress(r), Reason: refusal.Word,
		Detail: method(r) + " " + r.URL.EscapedPath() + ": " + refusal.Error(),
	}
	if id != nil {
		event.UserName, event.UserID, event.TokenID = id.User, id.UID, id.TokenID
	}
	p.cfg.Audit.Record(r.Context(), event)
	status.Write(w, r, refusal, logging.RequestID(r.Context()))
}
