package connectors

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// Outcome classifies an error of a connector by its effect on the user and on
// the connector's health.
type Outcome string

// The outcomes.
const (
	// OutcomeBadCredentials: name and password don't match an account.
	OutcomeBadCredentials Outcome = "bad_credentials"
	// OutcomeDenied: the upstream refuses this account. The user is refused at
	// once, and everything they hold is revoked.
	OutcomeDenied Outcome = "denied"
	// OutcomeSignInAgain: the user can cure the refusal themselves, by signing in
	// again or at the upstream. The user is refused; nothing is revoked.
	OutcomeSignInAgain Outcome = "sign_in_again"
	// OutcomeUnavailable: the upstream did not answer. The user keeps what they
	// have for the outage budget.
	OutcomeUnavailable Outcome = "unavailable"
	// OutcomeMisconfigured: the upstream refuses the connector, not the user. The
	// user keeps what they have for the outage budget, and the connector fails.
	OutcomeMisconfigured Outcome = "misconfigured"
	// OutcomeUnusableIdentity: the upstream lets the user in, but what it says
	// about them can't be used. This user is refused; the connector is healthy.
	OutcomeUnusableIdentity Outcome = "unusable_identity"
	// OutcomeUnconfirmed: the connector has no token with which it could ask the
	// upstream about this user. This is no outage and no refusal.
	OutcomeUnconfirmed Outcome = "unconfirmed"
)

// SignInAgain is the remedy when a new sign-in alone helps.
const SignInAgain = "Sign in again."

// maxDescription is how many characters of an upstream's own description are kept.
const maxDescription = 300

// Error is an error of a connector with its outcome.
type Error struct {
	Outcome Outcome
	// Code is the upstream's error code, such as "invalid_client", or empty.
	Code string
	// Reason says what is wrong, in one sentence for the user or the admin.
	Reason string
	// Remedy says what to do about it: what the admin changes when the connector
	// is misconfigured, what the user does otherwise. It may be empty.
	Remedy string
	// Link is a page at the upstream where the user can cure it, or empty.
	Link string
	// Description is what the upstream itself said, cut and without control
	// characters. It is untrusted text.
	Description string
	// Unverified says that anyone could have made the upstream's answer, such as a
	// response without a valid signature. It says nothing about the connector's health.
	Unverified bool
	cause      error
}

// NewError returns an error with an outcome. The cause may be nil.
func NewError(o Outcome, cause error, reason, remedy string) *Error {
	return &Error{Outcome: o, Reason: reason, Remedy: remedy, cause: cause}
}

// Error returns the reason, the upstream's own words and the cause.
func (e *Error) Error() string {
	text := strings.TrimSuffix(e.Reason, ".")
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.Description != "" {
		text += ": " + strings.TrimSuffix(e.Description, ".")
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text + "."
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes a denial equal to ErrDenied and wrong credentials to ErrBadCredentials.
func (e *Error) Is(target error) bool {
	return e.Outcome == OutcomeDenied && target == ErrDenied || e.Outcome == OutcomeBadCredentials && target == ErrBadCredentials
}

// OutcomeOf returns the outcome of an error of a connector. An error without one
// means that the upstream could not be asked.
func OutcomeOf(err error) Outcome {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Outcome
	}
	switch {
	case errors.Is(err, ErrBadCredentials):
		return OutcomeBadCredentials
	case errors.Is(err, ErrDenied):
		return OutcomeDenied
	}
	return OutcomeUnavailable
}

// Unverified reports whether an error comes from an answer that anyone could have made.
func Unverified(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Unverified
}

// Unconfirmed returns the error of a renewal for which the connector can't ask the
// upstream: it has no token for it, or the upstream knows no way.
func Unconfirmed() *Error {
	return NewError(OutcomeUnconfirmed, nil, "The provider can't be asked about this account again without a new sign-in.", SignInAgain)
}

// StatusError returns the error of an answer with a status that says nothing about the
// user: the upstream is unavailable for now, or the settings are wrong.
func StatusError(status int, reason, remedy string) *Error {
	outcome := OutcomeMisconfigured
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		outcome = OutcomeUnavailable
	}
	return NewError(outcome, nil, reason, remedy)
}

// OAuthError classifies an error response of an OAuth 2.0 endpoint (RFC 6749
// sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6, RFC 6750
// section 3.1). Status is the HTTP status, or 0 for a response in a redirect.
// An empty code means that the response was no OAuth error.
func OAuthError(status int, code, description string) *Error {
	e := &Error{Code: kubenames.SanitizeLine(code, 60), Description: kubenames.SanitizeLine(description, maxDescription)}
	e.Outcome = oauthOutcome(status, code)
	if strings.Contains(description, "invalid_rapt") { // Google: the session control of Workspace ended the sign-in
		e.Outcome = OutcomeSignInAgain
	}
	switch e.Outcome {
	case OutcomeSignInAgain:
		e.Reason, e.Remedy = "The provider wants the user to sign in there again.", SignInAgain
	case OutcomeUnavailable:
		e.Reason = "The provider does not answer at the moment."
	case OutcomeMisconfigured:
		e.Reason, e.Remedy = "The provider refused the client.", oauthRemedy(status, code)
	default:
		e.Reason = "The provider refuses this account."
	}
	return e
}

func oauthOutcome(status int, code string) Outcome {
	is := func(codes ...string) bool { return slices.Contains(codes, code) }
	switch {
	case is("temporarily_unavailable", "server_error", "slow_down"), status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return OutcomeUnavailable
	case is("interaction_required", "login_required", "consent_required", "mfa_required", "account_selection_required", "insufficient_user_authentication"):
		return OutcomeSignInAgain
	case is("invalid_client", "invalid_scope", "redirect_uri_mismatch", "incorrect_client_credentials", "deleted_client", "org_internal", "unsupported_grant_type", "unsupported_response_type",
		"invalid_request", "invalid_request_uri", "request_not_supported", "insufficient_scope"):
		return OutcomeMisconfigured
	case code != "":
		return OutcomeDenied
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400:
		return OutcomeMisconfigured
	}
	return OutcomeUnavailable
}

func oauthRemedy(status int, code string) string {
	switch code {
	case "invalid_client", "incorrect_client_credentials", "deleted_client":
		return "Copy the client ID and the client secret again. Create a new secret if the old one has expired."
	case "invalid_scope", "insufficient_scope":
		return "Allow the scopes of this connector at the provider, or remove those that it does not know."
	case "redirect_uri_mismatch":
		return "Register the redirect URI of this connector at the provider, exactly as shown."
	}
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return "Check the addresses of the provider's endpoints."
	}
	return "Check the client's settings at the provider: its type, grant types and redirect URI."
}
