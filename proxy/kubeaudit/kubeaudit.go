// Package kubeaudit keeps an account of what people do through the proxy, in the events of
// audit.k8s.io/v1 that an API server writes, by the same kind of policy file. It leaves
// what the sign-in server shows to internal/audit.
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

// Sink keeps events.
type Sink interface {
	// Ready reports whether an event could be kept now.
	Ready() error
	// Keep keeps an event, now or later. It does not change it.
	WriteEvent(e *auditv1.Event) error
}

// Log makes events and hands them to its sinks. The zero Log keeps nothing.
type Log struct {
	Policy Policy
	Sinks  []Sink
	// Strict refuses requests while a sink can't keep them.
	RefuseOnFailure bool
	// Commands keeps the query of exec, attach and port-forward, which holds the command.
	IncludeCommands bool
	Now             func() time.Time
	// Failed is told of events that a sink did not keep.
	OnError func(ctx context.Context, err error)
}

// ErrNotKept says that a request can't be recorded, and so must not happen.
var ErrUnavailable = errors.New("the audit log can't be written")

// Entry is one request, as it goes through its stages. A nil Entry records nothing.
type Entry struct {
	log               *Log
	event             auditv1.Event
	omitStages        map[auditinternal.Stage]bool
	body              *body
	omitManagedFields bool // without managed fields
	longRunning       bool
	responseStarted   bool // an answer has begun
}

// HeaderID is the header that joins the proxy's events with the API server's
// (k8s.io/apiserver/pkg/apis/audit.HeaderAuditID, in Go's spelling).
const AuditIDHeader = "Audit-Id"

// maxID is the longest id that a client may choose.
const maxAuditIDLength = 64

// Begin records that a request has come, from somebody or from nobody known. It fails when
// it could not and Strict is set: then the request must not go on. The entry may be used in
// any case.
func (l *Log) Begin(r *http.Request, info *requestinfo.Info, who *authn.Identity, address string) (*Entry, error) {
	if l == nil || l.Policy == nil {
		return nil, nil //nolint:nilnil // a nil Entry records nothing
	}
	rule := l.Policy.EvaluatePolicyRule(attributes(info, who))
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
	if who != nil {
		e.event.User = userInfo(who, who.Groups, "system:authenticated")
	}
	if rule.Level == auditinternal.LevelRequest && info.IsResourceRequest && !e.longRunning && r.Body != nil {
		e.body = &body{ReadCloser: r.Body, contentType: r.Header.Get("Content-Type")}
		r.Body = e.body
	}
	return e, errors.Join(l.ready(), e.writeStage(r.Context(), auditinternal.StageRequestReceived))
}

// ready reports, where it matters, whether events can be kept.
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

// ID joins this entry with the API server's. It is empty when there is none.
func (e *Entry) ID() string {
	if e == nil {
		return ""
	}
	return string(e.event.AuditID)
}

// As notes whom somebody acts as. The groups are complete.
func (e *Entry) SetImpersonatedUser(target *authn.Identity) {
	if e == nil {
		return
	}
	as := userInfo(target, target.Groups)
	e.event.ImpersonatedUser = &as
}

// Started records that an answer begins, when it may go on for long.
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

// Outcome is how a request ended.
type Outcome struct {
	// Refusal is the proxy's own answer, if it gave one.
	Refusal *metav1.Status
	// Notes are added to the event.
	Annotations map[string]string
}

// Complete records the end.
func (e *Entry) Complete(ctx context.Context, o Outcome) {
	if e == nil {
		return
	}
	switch {
	case o.Refusal != nil:
		e.event.ResponseStatus = &metav1.Status{Status: o.Refusal.Status, Message: o.Refusal.Message, Reason: o.Refusal.Reason, Code: o.Refusal.Code}
	case e.event.ResponseStatus == nil: // as WithAudit does in k8s.io/apiserver
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

// notePrefix is before the keys of our own annotations.
const annotationPrefix = "proxy.fairlead.dev/"

func (e *Entry) annotate(key, value string) {
	if e.event.Annotations == nil {
		e.event.Annotations = map[string]string{}
	}
	e.event.Annotations[annotationPrefix+key] = value
}

// stage keeps the event as it is now.
func (e *Entry) writeStage(ctx context.Context, stage auditinternal.Stage) error {
	if e.omitStages[stage] {
		return nil
	}
	e.event.Stage = auditv1.Stage(stage)
	if stage != auditinternal.StageRequestReceived {
		e.event.StageTimestamp = metav1.NewMicroTime(e.log.Now())
	}
	kept := e.event // what comes later must not change it
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

// chooseID is the client's id of the request, as at the API server, or a new one.
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

// maxAgent is where a User-Agent is cut, in bytes (k8s.io/apiserver/pkg/audit/request.go).
const maxUserAgent = 1024

func userAgent(r *http.Request) string {
	text := r.UserAgent()
	if len(text) > maxUserAgent {
		return text[:maxUserAgent] + "...TRUNCATED"
	}
	return text
}

func userInfo(who *authn.Identity, groups []string, more ...string) authnv1.UserInfo {
	u := authnv1.UserInfo{Username: who.User, UID: who.UID, Groups: append(append([]string{}, groups...), more...)}
	for _, e := range who.Extra {
		if u.Extra == nil {
			u.Extra = map[string]authnv1.ExtraValue{}
		}
		u.Extra[e.Key] = append(u.Extra[e.Key], e.Value)
	}
	return u
}

// attributes are what a policy looks at.
func attributes(info *requestinfo.Info, who *authn.Identity) authorizer.Attributes {
	a := authorizer.AttributesRecord{
		Verb: info.Verb, Path: info.Path, ResourceRequest: info.IsResourceRequest, APIGroup: info.APIGroup, APIVersion: info.APIVersion,
		Resource: info.Resource, Subresource: info.Subresource, Namespace: info.Namespace, Name: info.Name,
	}
	if who != nil {
		a.User = &user.DefaultInfo{Name: who.User, UID: who.UID, Groups: append(append([]string{}, who.Groups...), "system:authenticated")}
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

// uri is the address that was asked for. The command of an exec stays out unless asked for:
// it can hold passwords.
func (l *Log) uri(r *http.Request, info *requestinfo.Info) string {
	u := *r.URL
	u.Scheme, u.Host, u.User = "", "", nil
	if info.IsInteractive() && !l.IncludeCommands {
		u.RawQuery = ""
	}
	return u.RequestURI()
}
