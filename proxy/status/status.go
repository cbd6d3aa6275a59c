// Package status provides the Kubernetes Status objects with which the proxy answers requests
// itself. kubectl and other clients show their messages to people. The catalogue (catalogue.go)
// holds every refusal; other packages do not build their own.
package status

import (
	"encoding/json"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Error is a refusal. Its message has three parts: what happened, why, and what to do next.
type Error struct {
	HTTPStatus int
	Reason     metav1.StatusReason
	// Code identifies the refusal in logs, metrics and audit events, such as "token_expired".
	// It never contains data of the request.
	Code string
	// What, Why and Next are the parts of the message, without the final punctuation.
	What, Why, Next string
	// NoRetry is set on a 401 that a renewed token of the same sign-in would get as well.
	NoRetry bool
	// Verbatim, when set, is a Status of the API server that is passed on unchanged.
	Verbatim *metav1.Status
	cause    error
}

// messagePrefix tells people which program the message is from.
const messagePrefix = "fairlead-proxy: "

// Message returns the refusal as one text: "what: why. next."
func (e *Error) Message() string {
	if e.Verbatim != nil {
		return e.Verbatim.Message
	}
	return messagePrefix + e.What + ": " + e.Why + ". " + e.Next + "."
}

// Error returns the message and the cause. The cause is for logs; clients do not see it.
func (e *Error) Error() string {
	message := strings.TrimPrefix(e.Message(), messagePrefix)
	if e.cause != nil {
		return message + ": " + e.cause.Error()
	}
	return message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KubernetesStatus returns e as the Status object that a client receives.
func (e *Error) KubernetesStatus() *metav1.Status {
	kind := metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	if e.Verbatim != nil {
		status := *e.Verbatim
		status.TypeMeta = kind
		return &status
	}
	return &metav1.Status{
		TypeMeta: kind, Status: metav1.StatusFailure, Message: e.Message(), Reason: e.Reason, Code: int32(e.HTTPStatus), //nolint:gosec // an HTTP status
	}
}

// Write answers a request with e. It appends the request ID to the message.
func Write(w http.ResponseWriter, r *http.Request, e *Error, requestID string) {
	object := e.KubernetesStatus()
	if e.Verbatim == nil && requestID != "" {
		object.Message += " (request " + requestID + ")"
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	body, err := json.Marshal(object)
	code := e.HTTPStatus
	if err != nil || isDiscovery(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body, code = []byte(object.Message+"\n"), e.discoveryStatus()
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="fairlead-proxy"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // an error here means that the client has gone
}

// discoveryStatus returns the HTTP status for a discovery request, chosen so that kubectl shows
// the message. kubectl replaces the message of a 401 and of a 503 with its own, and answers a 401
// by renewing the token. It prints "unknown" for a 400.
func (e *Error) discoveryStatus() int {
	switch {
	case e.HTTPStatus == http.StatusUnauthorized && e.NoRetry, e.HTTPStatus == http.StatusBadRequest:
		return http.StatusForbidden
	case e.HTTPStatus == http.StatusServiceUnavailable:
		return http.StatusBadGateway
	}
	return e.HTTPStatus
}

// isDiscovery reports whether the request is for API discovery, which kubectl sends first.
// client-go shows an error of discovery only if it is plain text (discovery_client.go and
// rest/request.go).
func isDiscovery(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "g=apidiscovery.k8s.io")
}
