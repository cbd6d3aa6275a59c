// Package kubeaudit writes audit.k8s.io/v1 events of the requests through the proxy. It uses the API
// server's event format and policy files. The events for the Fairlead server's audit log are in
// package internal/audit.
package kubeaudit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	authnv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/requestinfo"
)

// Sink stores events.
type Sink interface {
	// Ready fails if an event could not be stored now.
	Ready() error
	// WriteEvent stores an event now or later. It does not modify it.
	WriteEvent(e *auditv1.Event) error
}

// Log creates events and writes them to its sinks. The zero Log writes nothing.
type Log struct {
	Policy Policy
	Sinks  []Sink
	// RefuseOnFailure refuses requests while a sink cannot store events.
	RefuseOnFailure bool
	// IncludeCommands keeps the query of exec, attach and port-forward, which holds the command.
	IncludeCommands bool
	Now             func() time.Time
	// OnError is called when a sink fails to store an event.
	OnError func(ctx context.Context, err error)
}

// ErrUnavailable says that a request cannot be audited and must be refused.
var ErrUnavailable = errors.New("the audit log cannot be written")

// Entry collects the events of one request. A nil Entry records nothing.
type Entry struct {
	log               *Log
	event             auditv1.Event
	omitStages        map[auditinternal.Stage]bool
	body              *body
	omitManagedFields bool
	longRunning       bool
	responseStarted   bool
}

// AuditIDHeader is the header whose ID joins the proxy's events with those of the API server
// (k8s.io/apiserver/pkg/apis/audit.HeaderAuditID, in Go's spelling).
const AuditIDHeader = "Audit-Id"

// maxAuditIDLength is the longest audit ID that a client may choose.
const maxAuditIDLength = 64

// Begin writes the event that a request has arrived. The identity is nil for an unauthenticated
// request. If RefuseOnFailure is set and the event cannot be written, Begin fails and the caller must
// refuse the request. The entry may be used even then.
func (l *Log) Begin(r *http.Request, info *requestinfo.Info, identity *authn.Identity, address string) (*Entry, error) {
	if l == nil || l.Policy == nil {
		return nil, nil //nolint:nilnil // a nil Entry records nothing
	}
	rule := l.Policy.EvaluatePolicyRule(attributes(info, identity))
	if rule.Level == auditinternal.LevelNone {
		return nil, l.ready()
	}
	e := &Entry{log: l, omitManagedFields: rule.OmitManagedFields, longRunning: info.IsLongRunning(), omitStages: map[auditinternal.Stage]bool{}}
	for _, stage := range rule.OmitStages {
		e.omitStages[stage] = true
	}
	now := metav1.NewMicroTime(l.Now())
	e.event = auditv1.Event{
		TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: auditv1.SchemeGroupVersion.String()},
		Level:    auditv1.Level(rule.Level), AuditID: auditID(r), RequestURI: l.uri(r, info), Verb: info.Verb, SourceIPs: []string{address},
		UserAgent: userAgent(r), ObjectRef: objectRef(info), RequestReceivedTimestamp: now, StageTimestamp: now,
	}
	if identity != nil {
		e.event.User = userInfo(identity, identity.Groups, "system:authenticated")
	}
	if rule.Level == auditinternal.LevelRequest && info.IsResourceRequest && !e.longRunning && r.Body != nil {
		e.body = &body{ReadCloser: r.Body, contentType: r.Header.Get("Content-Type")}
		r.Body = e.body
	}
	return e, errors.Join(l.ready(), e.writeStage(r.Context(), auditinternal.StageRequestReceived))
}

// ready fails if RefuseOnFailure is set and a sink cannot store events.
func (l *Log) ready() error {
	if !l.RefuseOnFailure {
		return nil
	}
	for _, s := range l.Sinks {
		if err := s.Ready(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return nil
}

// ID returns the audit ID, which the API server's event has as well. It is empty for a nil Entry.
func (e *Entry) ID() string {
	if e == nil {
		return ""
	}
	return string(e.event.AuditID)
}

// SetImpersonatedUser sets the user of "kubectl --as". Its groups must be complete.
func (e *Entry) SetImpersonatedUser(target *authn.Identity) {
	if e == nil {
		return
	}
	as := userInfo(target, target.Groups)
	e.event.ImpersonatedUser = &as
}

// Started records the status of the response. For a long-running request it writes an event.
func (e *Entry) Started(ctx context.Context, code int) {
	if e == nil || e.responseStarted {
		return
	}
	e.responseStarted = true
	e.event.ResponseStatus = &metav1.Status{Code: int32(code)} //nolint:gosec // an HTTP status
	if e.longRunning {
		_ = e.writeStage(ctx, auditinternal.StageResponseStarted)
	}
}

// Outcome says how a request ended.
type Outcome struct {
	// Refusal is the proxy's own response, or nil.
	Refusal *metav1.Status
	// Annotations are added to the event, without their prefix.
	Annotations map[string]string
}

// Complete writes the event that a request has ended.
func (e *Entry) Complete(ctx context.Context, o Outcome) {
	if e == nil {
		return
	}
	switch {
	case o.Refusal != nil:
		e.event.ResponseStatus = &metav1.Status{Status: o.Refusal.Status, Message: o.Refusal.Message, Reason: o.Refusal.Reason, Code: o.Refusal.Code}
	case e.event.ResponseStatus == nil: // the same as WithAudit in k8s.io/apiserver
		e.event.ResponseStatus = &metav1.Status{Code: http.StatusOK, Status: metav1.StatusSuccess, Message: "Connection closed early"}
	}
	if e.body != nil {
		e.event.RequestObject = e.body.object(e.annotate, e.omitManagedFields)
	}
	for key, value := range o.Annotations {
		e.annotate(key, value)
	}
	_ = e.writeStage(ctx, auditinternal.StageResponseComplete)
}

// annotationPrefix is the prefix of the proxy's annotation keys.
const annotationPrefix = "proxy.fairlead.dev/"

func (e *Entry) annotate(key, value string) {
	if e.event.Annotations == nil {
		e.event.Annotations = map[string]string{}
	}
	e.event.Annotations[annotationPrefix+key] = value
}

// writeStage writes the event in its current state.
func (e *Entry) writeStage(ctx context.Context, stage auditinternal.Stage) error {
	if e.omitStages[stage] {
		return nil
	}
	e.event.Stage = auditv1.Stage(stage)
	if stage != auditinternal.StageRequestReceived {
		e.event.StageTimestamp = metav1.NewMicroTime(e.log.Now())
	}
	kept := e.event // a copy, because later stages change the event
	var errs []error
	for _, s := range e.log.Sinks {
		errs = append(errs, s.WriteEvent(&kept))
	}
	err := errors.Join(errs...)
	if err != nil {
		e.log.OnError(ctx, err)
	}
	if err != nil && e.log.RefuseOnFailure {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// auditID returns the client's audit ID, as an API server does, or a new one.
func auditID(r *http.Request) types.UID {
	given := r.Header.Values(AuditIDHeader)
	if len(given) != 1 || given[0] == "" || len(given[0]) > maxAuditIDLength || !printable(given[0]) {
		return types.UID(uuid.NewString())
	}
	return types.UID(given[0])
}

func printable(s string) bool {
	for _, c := range s {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// maxUserAgent is the length at which a User-Agent is cut, in bytes
// (k8s.io/apiserver/pkg/audit/request.go).
const maxUserAgent = 1024

func userAgent(r *http.Request) string {
	text := r.UserAgent()
	if len(text) > maxUserAgent {
		return text[:maxUserAgent] + "...TRUNCATED"
	}
	return text
}

func userInfo(identity *authn.Identity, groups []string, more ...string) authnv1.UserInfo {
	u := authnv1.UserInfo{Username: identity.User, UID: identity.UID, Groups: append(append([]string{}, groups...), more...)}
	for _, e := range identity.Extra {
		if u.Extra == nil {
			u.Extra = map[string]authnv1.ExtraValue{}
		}
		u.Extra[e.Key] = append(u.Extra[e.Key], e.Value)
	}
	return u
}

// attributes returns the attributes that a policy evaluates.
func attributes(info *requestinfo.Info, identity *authn.Identity) authorizer.Attributes {
	a := authorizer.AttributesRecord{
		Verb: info.Verb, Path: info.Path, ResourceRequest: info.IsResourceRequest, APIGroup: info.APIGroup, APIVersion: info.APIVersion,
		Resource: info.Resource, Subresource: info.Subresource, Namespace: info.Namespace, Name: info.Name,
	}
	if identity != nil {
		a.User = &user.DefaultInfo{Name: identity.User, UID: identity.UID, Groups: append(append([]string{}, identity.Groups...), "system:authenticated")}
	}
	return a
}

func objectRef(i *requestinfo.Info) *auditv1.ObjectReference {
	if !i.IsResourceRequest {
		return nil
	}
	return &auditv1.ObjectReference{
		Namespace: i.Namespace, Name: i.Name, Resource: i.Resource, Subresource: i.Subresource, APIGroup: i.APIGroup, APIVersion: i.APIVersion,
	}
}

// uri returns the request URI. Unless IncludeCommands is set, it has no query for an exec, because the
// command can contain passwords.
func (l *Log) uri(r *http.Request, info *requestinfo.Info) string {
	u := *r.URL
	u.Scheme, u.Host, u.User = "", "", nil
	if info.IsInteractive() && !l.IncludeCommands {
		u.RawQuery = ""
	}
	return u.RequestURI()
}
