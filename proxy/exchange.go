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

// exchange handles one request, and holds what its audit events need.
type exchange struct {
	proxy         *Proxy
	writer        http.ResponseWriter
	request       *http.Request
	received      time.Time
	clientAddress string

	info                   *requestinfo.Info
	identity, impersonated *authn.Identity
	auditEntry             *kubeaudit.Entry
	call                   forward.Call
	recording              *recorder.Recording
	refusal                *status.Error
	removeStream           func() // unregisters the stream; nil if the request is not long-lived
}

// serve authenticates, authorizes and forwards the request.
func (x *exchange) serve() *status.Error {
	identity, refusal := x.proxy.cfg.Verifier.Authenticate(x.request)
	x.identity = identity
	x.info = requestinfo.Parse(x.request)
	x.call.Kind = forward.Classify(x.request, x.info)
	entry, err := x.proxy.cfg.KubeAudit.Begin(x.request, x.info, identity, x.clientAddress)
	x.auditEntry = entry
	if refusal != nil {
		return refusal
	}
	if err != nil {
		return status.AuditUnavailable(err)
	}
	if refusal := x.checkAccess(); refusal != nil {
		return refusal
	}
	if refusal := x.setHeaders(); refusal != nil {
		return refusal
	}
	if refusal := x.startRecording(); refusal != nil {
		return refusal
	}
	x.call.RecordRequest, x.call.OnResponse, x.call.Proxied = x.recordRequest, x.onResponse, x.info.IsProxied()
	if page := x.proxy.cfg.AccessPageURL; page != "" {
		x.call.ModifyResponse = addAccessHint(page) //nolint:bodyclose // the forwarder closes it
	}
	return x.proxy.cfg.Forwarder.Forward(x.writer, x.request, &x.call)
}

// checkAccess refuses users whose access was revoked, and registers long-lived requests as streams.
func (x *exchange) checkAccess() *status.Error {
	cfg := x.proxy.cfg
	if cfg.CheckAccess != nil {
		if refusal := cfg.CheckAccess(x.request.Context(), x.identity); refusal != nil {
			return refusal
		}
	}
	if !x.isLongLived() {
		return cfg.Revocations.Check(x.identity)
	}
	ctx := x.request.Context()
	if x.call.Kind == forward.Upgrade { // the server cancels the request's context at the upgrade
		ctx = context.WithoutCancel(ctx)
	}
	var deadline time.Time
	if grace := cfg.StreamGracePeriod(); grace >= 0 && !x.identity.Expires.IsZero() {
		deadline = x.identity.Expires.Add(grace)
	}
	streamContext, unregister, refusal := cfg.Revocations.RegisterStream(ctx, x.identity, deadline)
	if refusal != nil {
		return refusal
	}
	x.request, x.removeStream = x.request.WithContext(streamContext), unregister
	return nil
}

// isLongLived reports whether the request may last long.
func (x *exchange) isLongLived() bool { return x.call.Kind != forward.Short || x.info.IsLongRunning() }

// setHeaders computes the outgoing headers: with the user, with the target of "kubectl --as", or with a
// service account's own token.
func (x *exchange) setHeaders() (refusal *status.Error) {
	if x.identity.ServiceAccount {
		token, _ := authn.Token(x.request.Header) // cannot fail: the token was authenticated
		x.call.WithoutProxyCredential = true
		x.call.Header, refusal = impersonate.TokenHeaders(x.request.Header, token)
		return x.withAuditID(refusal)
	}
	authorizer := x.proxy.cfg.Impersonation
	if authorizer == nil || !userimpersonation.IsRequested(x.request.Header) {
		x.call.Header, refusal = impersonate.Headers(x.request.Header, x.identityWithAddress())
		return x.withAuditID(refusal)
	}
	requested, refusal := userimpersonation.ParseHeaders(x.request.Header)
	if refusal == nil {
		refusal = authorizer.Authorize(x.request.Context(), x.identity, requested)
	}
	if refusal != nil {
		return refusal
	}
	x.impersonated = requested.Target
	x.auditEntry.SetImpersonatedUser(requested.Target)
	x.call.Header, refusal = impersonate.TargetHeaders(x.request.Header, requested.Target)
	return x.withAuditID(refusal)
}

// identityWithAddress returns the identity, with the client's address if SendClientAddress is set.
func (x *exchange) identityWithAddress() *authn.Identity {
	if !x.proxy.cfg.SendClientAddress || x.clientAddress == "" {
		return x.identity
	}
	identity := *x.identity // a copy, because identities are shared
	identity.Extra = append(slices.Clone(identity.Extra), authn.Extra{Key: authn.ExtraClientAddress, Value: x.clientAddress})
	return &identity
}

// withAuditID sets the audit ID, which joins the proxy's events with those of the API server.
func (x *exchange) withAuditID(refusal *status.Error) *status.Error {
	if id := x.auditEntry.ID(); refusal == nil && id != "" {
		x.call.Header[kubeaudit.AuditIDHeader] = []string{id}
	}
	return refusal
}

// onResponse is called when the response starts.
func (x *exchange) onResponse(code int) {
	x.proxy.requests.WithLabelValues(string(x.call.Kind), methodLabel(x.request), strconv.Itoa(code)).Inc()
	x.auditEntry.Started(x.request.Context(), code)
}

// recordRequest writes the audit event of a request. The event has the path without its query, which can
// contain the command of an exec.
func (x *exchange) recordRequest() {
	event := x.event(audit.ProxyRequest, string(x.call.Kind))
	event.Detail = methodLabel(x.request) + " " + x.request.URL.EscapedPath()
	if x.impersonated != nil {
		event.Name = audit.ProxyActedAs
		event.Detail += fmt.Sprintf(" as %q in %q", x.impersonated.User, x.impersonated.Groups)
	}
	x.proxy.cfg.Audit.Record(x.request.Context(), event)
}

// refuse answers with a refusal and records it.
func (x *exchange) refuse(refusal *status.Error) {
	x.refusal = refusal
	x.proxy.refusals.WithLabelValues(refusal.Code).Inc()
	event := x.event(audit.ProxyRefused, refusal.Code)
	event.Detail = methodLabel(x.request) + " " + x.request.URL.EscapedPath() + ": " + refusal.Error()
	x.proxy.cfg.Audit.Record(x.request.Context(), event)
	status.Write(x.writer, x.request, refusal, logging.RequestID(x.request.Context()))
}

// finish writes the final audit events, also if the handler panics to abort. It unregisters a stream last,
// because Registry.Drain waits for the stream's final message.
func (x *exchange) finish() {
	if x.removeStream != nil {
		defer x.removeStream()
	}
	took, reason := x.proxy.cfg.Now().Sub(x.received), x.terminationReason()
	x.finishRecording(closingReason(reason))
	if !x.isLongLived() && x.refusal == nil {
		x.proxy.duration.WithLabelValues(methodLabel(x.request)).Observe(took.Seconds())
	}
	x.auditEntry.Complete(x.request.Context(), kubeaudit.Outcome{Refusal: x.refusalStatus(), Annotations: x.auditAnnotations(took)})
	result := x.call.Result
	switch {
	case x.refusal != nil: // refuse has recorded it
	case reason != nil:
		x.proxy.refusals.WithLabelValues(reason.Code).Inc()
		x.recordEnd(audit.ProxyStreamEnded, reason.Code, fmt.Sprintf("ended after %d bytes", result.BytesIn+result.BytesOut))
	case result.Code == statusTunnel:
		x.recordEnd(audit.ProxySessionEnded, "", fmt.Sprintf("%d bytes in, %d bytes out, %s%s", result.BytesIn, result.BytesOut, took.Round(time.Millisecond), x.recordingDetail()))
	case result.Code == http.StatusForbidden:
		x.recordEnd(audit.ProxyDenied, "", "the API server answered 403")
	}
	if x.identity != nil && x.proxy.cfg.Logger.Enabled(x.request.Context(), slog.LevelDebug) {
		x.proxy.cfg.Logger.DebugContext(x.request.Context(), "request ended", "user", x.identity.User, "groups", len(x.identity.Groups), "kind", string(x.call.Kind),
			"path", x.request.URL.EscapedPath(), "milliseconds", took.Milliseconds())
	}
}

// refusalStatus returns the proxy's own response, or nil.
func (x *exchange) refusalStatus() *metav1.Status {
	if x.refusal == nil {
		return nil
	}
	return x.refusal.KubernetesStatus()
}

// auditAnnotations returns the annotations of the final audit event.
func (x *exchange) auditAnnotations(took time.Duration) map[string]string {
	if x.refusal != nil {
		return map[string]string{"refused": x.refusal.Code}
	}
	if !x.isLongLived() {
		return nil
	}
	annotations := map[string]string{
		"bytes-in": strconv.FormatInt(x.call.Result.BytesIn, 10), "bytes-out": strconv.FormatInt(x.call.Result.BytesOut, 10), "duration": took.Round(time.Millisecond).String(),
	}
	if reason := x.terminationReason(); reason != nil {
		annotations["ended"] = reason.Code
	}
	if x.recording != nil {
		annotations["recording"] = x.recording.ID()
	}
	return annotations
}

// statusTunnel is the HTTP status after which the connection is a tunnel.
const statusTunnel = http.StatusSwitchingProtocols

func closingReason(reason *status.Error) string {
	if reason == nil {
		return "the session ended"
	}
	return "the proxy ended the session: " + reason.Error()
}

func (x *exchange) recordingDetail() string {
	if x.recording == nil {
		return ""
	}
	return ", recording " + x.recording.ID()
}

// terminationReason returns the refusal with which the proxy ended a stream, or nil.
func (x *exchange) terminationReason() *status.Error {
	if reason, ok := errors.AsType[*status.Error](x.call.Result.Err); ok {
		return reason
	}
	if x.removeStream == nil {
		return nil
	}
	reason, _ := errors.AsType[*status.Error](context.Cause(x.request.Context()))
	return reason
}

func (x *exchange) recordEnd(name audit.Name, reason, detail string) {
	event := x.event(name, reason)
	event.Detail = methodLabel(x.request) + " " + x.request.URL.EscapedPath() + ": " + detail
	x.proxy.cfg.Audit.Record(x.request.Context(), event)
}

// event returns an audit event about this request.
func (x *exchange) event(name audit.Name, reason string) audit.Event {
	e := audit.Event{Name: name, ClusterID: x.proxy.cfg.Cluster, Address: x.clientAddress, Reason: reason}
	if x.identity == nil {
		return e
	}
	e.UserName, e.TokenID = x.identity.User, x.identity.TokenID
	if x.identity.Issuer == "" { // user IDs of other issuers could look like those of Fairlead users
		e.UserID, e.SignInID, e.DeviceID = x.identity.UID, x.identity.SignIn, x.identity.Device
	}
	return e
}

// methodLabel returns the method for metrics, and "other" for unknown methods.
func methodLabel(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}
