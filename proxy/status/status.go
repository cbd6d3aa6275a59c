// Package status answers with Kubernetes Status objects, which kubectl and its
// like show to people. Every answer that the proxy makes itself goes through it.
package status

import (
	"encoding/json"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Error is a refusal with its HTTP status.
type Error struct {
	Code    int
	Reason  metav1.StatusReason
	Message string
	// Word is a fixed word for logs and metrics.
	Word string
	// Final says that another token of the same person would be refused as well.
	Final bool
	// Status, when set, is answered as it is: words of the API server's.
	Status *metav1.Status
	cause  error
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Unauthorized says that the token is not good. The message says what to do.
func Unauthorized(word, message string) *Error {
	return &Error{Code: http.StatusUnauthorized, Reason: metav1.StatusReasonUnauthorized, Message: message, Word: word}
}

// Refused is Unauthorized where signing in anew is the only thing that helps.
func Refused(word, message string) *Error {
	e := Unauthorized(word, message)
	e.Final = true
	return e
}

// Forbidden says that the request itself is not allowed.
func Forbidden(word, message string) *Error {
	return &Error{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message, Word: word}
}

// BadRequest says that the request makes no sense.
func BadRequest(word, message string) *Error {
	return &Error{Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest, Message: message, Word: word}
}

// TooMany says that there is no room for it now.
func TooMany(word, message string) *Error {
	return &Error{Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Message: message, Word: word}
}

// Unavailable says that the API server or the issuer can't be reached.
func Unavailable(word, message string, cause error) *Error {
	return &Error{Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable, Message: message, Word: word, cause: cause}
}

// Object returns e as Kubernetes has it.
func (e *Error) Object() *metav1.Status {
	if e.Status != nil {
		said := *e.Status
		said.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		return &said
	}
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Message: "fairlead-proxy: " + e.Message, Reason: e.Reason, Code: int32(e.Code), //nolint:gosec // an HTTP status
	}
}

// Write answers a request with e and the id of the request.
func Write(w http.ResponseWriter, r *http.Request, e *Error, requestID string) {
	object := e.Object()
	if e.Status == nil && requestID != "" {
		object.Message += " (request " + requestID + ")"
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	body, err := json.Marshal(object)
	code := e.Code
	if err != nil || isDiscovery(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body, code = []byte(object.Message+"\n"), e.discoveryCode()
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
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}

// discoveryCode is the status with which kubectl shows words at discovery. Of a 401 it
// shows its own, and asks for another token, which is right only where one would help;
// of a 503 as well, after trying for ten seconds. Of a 400 it says "unknown".
func (e *Error) discoveryCode() int {
	switch {
	case e.Code == http.StatusUnauthorized && e.Final, e.Code == http.StatusBadRequest:
		return http.StatusForbidden
	case e.Code == http.StatusServiceUnavailable:
		return http.StatusBadGateway
	}
	return e.Code
}

// isDiscovery reports whether a client asks what there is at all: the first thing that
// kubectl does. Of an error there it shows words only when they are plain text, and
// "unknown" else (client-go, discovery_client.go and rest/request.go).
func isDiscovery(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "g=apidiscovery.k8s.io")
}
