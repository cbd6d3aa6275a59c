package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/impersonate"
	"github.com/fairlead-auth/fairlead/proxy/kubeaudit"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
	"github.com/fairlead-auth/fairlead/proxy/requestinfo"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/proxy/userimpersonation"
)

// exchange is one request on its way through the proxy, and the account that is given of it.
type exchange struct {
	p     *Proxy
	w     http.ResponseWriter
	r     *http.Request
	began time.Time
	from  string // the client's address

	info        *requestinfo.Info
	who, target *authn.Identity
	entry       *kubeaudit.Entry
	job         forward.Job
	recording   *recorder.Recording
	refusal     *status.Error
	done        func() // forgets a stream
}

// serve decides, step by step, and forwards.
func (x *exchange) serve() *status.Error {
	who, refusal := x.p.cfg.Verifier.Authenticate(x.r)
	x.who = who
	x.info = requestinfo.Read(x.r)
	x.job.Kind = forward.Classify(x.r, x.info)
	entry, err := x.p.cfg.Events.Begin(x.r, x.info, who, x.from)
	x.entry = entry
	if refusal != nil {
		return refusal
	}
	if err != nil {
		return status.Unavailable("audit_unavailable",
			"This cluster's proxy can't write its audit log, and does nothing that it can't account for. Tell the people who run the cluster.", err)
	}
	if refusal := x.admit(); refusal != nil {
		return refusal
	}
	if refusal := x.headers(); refusal != nil {
		return refusal
	}
	if refusal := x.film(); refusal != nil {
		return refusal
	}
	x.job.Account, x.job.Started, x.job.Beyond = x.record, x.started, x.info.Proxied()
	if page := x.p.cfg.AccessPage; page != "" {
		x.job.Amend = hint(page) //nolint:bodyclose // the forwarder closes it
	}
	return x.p.cfg.Forwarder.Forward(x.w, x.r, &x.job)
}

// admit refuses who has lost their access since the token was issued, and registers
// what may be open for long.
func (x *exchange) admit() *status.Error {
	cfg := x.p.cfg
	if cfg.Admit != nil {
		if refusal := cfg.Admit(x.r.Context(), x.who); refusal != nil {
			return refusal
		}
	}
	if !x.lasts() {
		return cfg.Cutoff.Check(x.who)
	}
	ctx := x.r.Context()
	if x.job.Kind == forward.Upgrade { // the handler's own ends when the connection is taken over
		ctx = context.WithoutCancel(ctx)
	}
	var lasts time.Time
	if after := cfg.AfterExpiry(); after >= 0 && !x.who.Expires.IsZero() {
		lasts = x.who.Expires.Add(after)
	}
	life, done, refusal := cfg.Cutoff.Begin(ctx, x.who, lasts)
	if refusal != nil {
		return refusal
	}
	x.r, x.done = x.r.WithContext(life), done
	return nil
}

// lasts reports whether the request may go on for long.
func (x *exchange) lasts() bool { return x.job.Kind != forward.Short || x.info.LongRunning() }

// headers are what is sent on: those of the person, or of whom they act as when the API
// server lets them.
func (x *exchange) headers() (refusal *status.Error) {
	if x.who.Guest {
		token, _ := authn.Token(x.r.Header) // it was read before
		x.job.Bare = true
		x.job.Header, refusal = impersonate.Own(x.r.Header, token)
		return x.named(refusal)
	}
	asker := x.p.cfg.ActAs
	if asker == nil || !userimpersonation.Wanted(x.r.Header) {
		x.job.Header, refusal = impersonate.Headers(x.r.Header, x.located())
		return x.named(refusal)
	}
	wish, refusal := userimpersonation.Read(x.r.Header)
	if refusal == nil {
		refusal = asker.Allow(x.r.Context(), x.who, wish)
	}
	if refusal != nil {
		return refusal
	}
	x.target = wish.Target
	x.entry.As(wish.Target)
	x.job.Header, refusal = impersonate.HeadersAs(x.r.Header, wish.Target)
	return x.named(refusal)
}

// located is who asks, with the address when the API server is to know it.
func (x *exchange) located() *authn.Identity {
	if !x.p.cfg.SendAddress || x.from == "" {
		return x.who
	}
	who := *x.who // that one is shared
	who.Extra = append(slices.Clone(who.Extra), authn.Extra{Key: authn.ExtraAddress, Value: x.from})
	return &who
}

// named gives the request the id that joins the proxy's account with the API server's.
func (x *exchange) named(refusal *status.Error) *status.Error {
	if id := x.entry.ID(); refusal == nil && id != "" {
		x.job.Header[kubeaudit.HeaderID] = []string{id}
	}
	return refusal
}

// started is called when an answer begins.
func (x *exchange) started(code int) {
	x.p.requests.WithLabelValues(string(x.job.Kind), method(x.r), strconv.Itoa(code)).Inc()
	x.entry.Started(x.r.Context(), code)
}

// record records a request, so that nothing is done at the API server, and nothing learnt from
// it, unrecorded. The path is without its query, which can hold the command of an exec.
func (x *exchange) record() {
	event := x.event(audit.ProxyRequest, string(x.job.Kind))
	event.Detail = method(x.r) + " " + x.r.URL.EscapedPath()
	if x.target != nil {
		event.Name = audit.ProxyActedAs
		event.Detail += fmt.Sprintf(" as %q in %q", x.target.User, x.target.Groups)
	}
	x.p.cfg.Audit.Record(x.r.Context(), event)
}

// refuse answers and records.
func (x *exchange) refuse(refusal *status.Error) {
	x.refusal = refusal
	x.p.refusals.WithLabelValues(refusal.Word).Inc()
	event := x.event(audit.ProxyRefused, refusal.Word)
	event.Detail = method(x.r) + " " + x.r.URL.EscapedPath() + ": " + refusal.Error()
	x.p.cfg.Audit.Record(x.r.Context(), event)
	status.Write(x.w, x.r, refusal, logging.RequestID(x.r.Context()))
}

// end gives account of how it ended, also when the handler is aborted. Only then is a
// stream forgotten: a proxy that stops waits for its last words.
func (x *exchange) end() {
	if x.done != nil {
		defer x.done()
	}
	took, why := x.p.cfg.Now().Sub(x.began), x.cutOff()
	x.endFilm(closing(why))
	if !x.lasts() && x.refusal == nil {
		x.p.duration.WithLabelValues(method(x.r)).Observe(took.Seconds())
	}
	x.entry.Complete(x.r.Context(), kubeaudit.Outcome{Refusal: x.answer(), Notes: x.notes(took)})
	result := x.job.Result
	switch {
	case x.refusal != nil: // that is recorded
	case why != nil:
		x.p.refusals.WithLabelValues(why.Word).Inc()
		x.ended(audit.ProxyStreamEnded, why.Word, fmt.Sprintf("ended after %d bytes", result.In+result.Out))
	case result.Code == switched:
		x.ended(audit.ProxySessionEnded, "", fmt.Sprintf("%d bytes in, %d bytes out, %s%s", result.In, result.Out, took.Round(time.Millisecond), x.filmed()))
	case result.Code == http.StatusForbidden:
		x.ended(audit.ProxyDenied, "", "the API server says 403")
	}
	if x.who != nil && x.p.cfg.Logger.Enabled(x.r.Context(), slog.LevelDebug) {
		x.p.cfg.Logger.DebugContext(x.r.Context(), "request ended", "user", x.who.User, "groups", len(x.who.Groups), "kind", string(x.job.Kind),
			"path", x.r.URL.EscapedPath(), "milliseconds", took.Milliseconds())
	}
}

// answer is the proxy's own answer, if it gave one.
func (x *exchange) answer() *metav1.Status {
	if x.refusal == nil {
		return nil
	}
	return x.refusal.Object()
}

// notes are what an event says of a stream beyond its code.
func (x *exchange) notes(took time.Duration) map[string]string {
	if x.refusal != nil {
		return map[string]string{"refused": x.refusal.Word}
	}
	if !x.lasts() {
		return nil
	}
	notes := map[string]string{
		"bytes-in": strconv.FormatInt(x.job.Result.In, 10), "bytes-out": strconv.FormatInt(x.job.Result.Out, 10), "duration": took.Round(time.Millisecond).String(),
	}
	if why := x.cutOff(); why != nil {
		notes["ended"] = why.Word
	}
	if x.recording != nil {
		notes["recording"] = x.recording.ID()
	}
	return notes
}

// switched is the status of an answer after which something else than HTTP is spoken.
const switched = http.StatusSwitchingProtocols

func closing(why *status.Error) string {
	if why == nil {
		return "the session ended"
	}
	return "the proxy ended the session: " + why.Message
}

func (x *exchange) filmed() string {
	if x.recording == nil {
		return ""
	}
	return ", recording " + x.recording.ID()
}

// cutOff is why a stream was ended, if it was.
func (x *exchange) cutOff() *status.Error {
	if why, ok := errors.AsType[*status.Error](x.job.Result.Err); ok {
		return why
	}
	if x.done == nil {
		return nil
	}
	why, _ := errors.AsType[*status.Error](context.Cause(x.r.Context()))
	return why
}

func (x *exchange) ended(name audit.Name, reason, what string) {
	event := x.event(name, reason)
	event.Detail = method(x.r) + " " + x.r.URL.EscapedPath() + ": " + what
	x.p.cfg.Audit.Record(x.r.Context(), event)
}

// event is about this request and who sent it.
func (x *exchange) event(name audit.Name, reason string) audit.Event {
	e := audit.Event{Name: name, ClusterID: x.p.cfg.Cluster, Address: x.from, Reason: reason}
	if x.who == nil {
		return e
	}
	e.UserName, e.TokenID = x.who.User, x.who.TokenID
	if x.who.Issuer == "" { // another's ids could be taken for those of our people
		e.UserID, e.SignInID, e.DeviceID = x.who.UID, x.who.SignIn, x.who.Device
	}
	return e
}

// method bounds the number of series.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}
