// Package oauth defines the OAuth 2.0 vocabulary of the provider: parameters,
// scopes, grant types, token types and error responses (RFC 6749). It makes no
// decisions.
package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// Code is an OAuth error code.
type Code string

// Error codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, RFC
// 8693 section 2.2.2, OpenID Connect Core section 3.1.2.6 and OpenID Connect
// Core Error Code unmet_authentication_requirements.
const (
	InvalidRequest                  Code = "invalid_request"
	InvalidClient                   Code = "invalid_client"
	InvalidGrant                    Code = "invalid_grant"
	UnauthorizedClient              Code = "unauthorized_client"
	UnsupportedGrantType            Code = "unsupported_grant_type"
	UnsupportedResponseType         Code = "unsupported_response_type"
	InvalidScope                    Code = "invalid_scope"
	InvalidTarget                   Code = "invalid_target"
	InvalidToken                    Code = "invalid_token"
	AccessDenied                    Code = "access_denied"
	ServerError                     Code = "server_error"
	TemporarilyUnavailable          Code = "temporarily_unavailable"
	LoginRequired                   Code = "login_required"
	InteractionRequired             Code = "interaction_required"
	ConsentRequired                 Code = "consent_required"
	UnmetAuthenticationRequirements Code = "unmet_authentication_requirements"
	AuthorizationPending            Code = "authorization_pending"
	SlowDown                        Code = "slow_down"
	ExpiredToken                    Code = "expired_token"
	RequestNotSupported             Code = "request_not_supported"
	RequestURINotSupported          Code = "request_uri_not_supported"
	RegistrationNotSupported        Code = "registration_not_supported"
)

// The scopes that the provider supports.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeGroups        = "groups"
	ScopeOfflineAccess = "offline_access"
)

// Scopes returns every scope.
func Scopes() []string {
	return []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeGroups, ScopeOfflineAccess}
}

// Grant types and token types.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"

	// GrantSetupCode is Fairlead's own grant type: see package setupcode.
	GrantSetupCode = "urn:fairlead:params:oauth:grant-type:setup-code"

	TokenTypeAccess  = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeIDToken = "urn:ietf:params:oauth:token-type:id_token"
	TokenTypeJWT     = "urn:ietf:params:oauth:token-type:jwt"
)

// hostParameter is the parameter with the host name of the client's computer. maxHost bounds it, in bytes.
const (
	hostParameter = "fairlead_host"
	maxHostBytes  = 64
)

// ClientHost returns the host name that a client reports for its computer. It returns "" if the parameter is absent
// or cannot be a host name. The name is unverified: pages must say so.
func ClientHost(params Params) string {
	host := params[hostParameter]
	if len(host) > maxHostBytes || kubenames.Check(host) != nil {
		return ""
	}
	return host
}

// Error is an OAuth error response. Clients show the description to users, so it must say what to do.
type Error struct {
	Code        Code
	Description string
	// Reason is a fixed word for the audit log.
	Reason string
	// RetryAfter, when set, is how long the client must wait.
	RetryAfter time.Duration
	cause      error
}

// Errorf makes an error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...), Reason: string(code)}
}

// WithReason returns e with a fixed word for the audit log.
func (e *Error) WithReason(reason string) *Error {
	e.Reason = reason
	return e
}

// RateLimited returns the error for a client that must wait before its next attempt.
func RateLimited(code Code, wait time.Duration) *Error {
	e := Errorf(code, "Too many attempts. Wait %d seconds, then try again.", int(wait.Seconds())+1).WithReason("too_many_failures")
	e.RetryAfter = wait
	return e
}

// Error implements error.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Description)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// FromError converts any error into an OAuth error. An error without a message for users becomes server_error or
// temporarily_unavailable, and reveals no internals.
func FromError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errs.Is(err, errs.Unavailable) {
		return &Error{Code: TemporarilyUnavailable, Description: errs.Message(err), Reason: "unavailable", cause: err}
	}
	return &Error{Code: ServerError, Description: "The server had an internal error. Ask an admin to check its log.", Reason: "internal", cause: err}
}

// Status returns the HTTP status of a response with this error.
func (e *Error) Status() int {
	if e.RetryAfter > 0 {
		return http.StatusTooManyRequests
	}
	switch e.Code {
	case InvalidClient, InvalidToken:
		return http.StatusUnauthorized
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case ServerError:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// Write sends the error as JSON (RFC 6749 section 5.2).
func (e *Error) Write(w http.ResponseWriter) {
	switch e.Code {
	case InvalidClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="fairlead"`)
	case InvalidToken:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+printable(e.Description)+`"`)
	case TemporarilyUnavailable:
		w.Header().Set("Retry-After", "2")
	default:
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())+1))
	}
	WriteJSON(w, e.Status(), map[string]string{"error": string(e.Code), "error_description": printable(e.Description)})
}

// WriteJSON sends v as JSON that must not be cached (RFC 6749 section 5.1).
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encoding answer", http.StatusInternalServerError)
		return
	}
	WriteBody(w, status, body)
}

// WriteBody sends encoded JSON that must not be cached.
func WriteBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has closed the connection
}

// printable removes the characters that RFC 6749 does not allow in a description.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7e || r == '\\':
			return -1
		}
		return r
	}, s)
}

// maxFormBytes bounds the body of a protocol request in bytes.
const maxFormBytes = 64 << 10

// ParseForm reads the parameters of a POST from its body only: a token in a query
// would end up in logs. Each parameter may come once; an empty one counts as
// absent (RFC 6749 section 3.2).
func ParseForm(w http.ResponseWriter, r *http.Request) (Params, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, Errorf(InvalidRequest, "The Content-Type is not supported. Send the parameters as application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		return nil, Errorf(InvalidRequest, "The body is not a valid form, or is larger than %d bytes. Send a smaller, valid form.", maxFormBytes)
	}
	params, err := SingleValues(r.PostForm)
	if err != nil {
		return nil, err
	}
	return params, nil
}

// Params are the parameters of a request. Each occurs once.
type Params map[string]string

// SingleValues refuses repeated parameters and leaves out empty ones. With an error it still returns the parameters
// that occur once, so that the caller can decide where to send the error.
func SingleValues(values url.Values) (Params, error) {
	var repeated error
	p := make(Params, len(values))
	for name, list := range values {
		switch {
		case len(list) > 1:
			repeated = Errorf(InvalidRequest, "The parameter %q was sent more than once. Send it once.", printable(name))
		case list[0] != "":
			p[name] = list[0]
		}
	}
	return p, repeated
}

// ParseScope returns the supported scopes in text, each once, in a fixed order. It ignores unknown scopes (OpenID
// Connect Core section 3.1.2.1).
func ParseScope(scope string) []string {
	asked := strings.Fields(scope)
	var known []string
	for _, s := range Scopes() {
		if slices.Contains(asked, s) {
			known = append(known, s)
		}
	}
	return known
}
