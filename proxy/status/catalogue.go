package status

import (
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// text is the message of a refusal: what happened, why, and what to do next.
type text struct{ what, why, next string }

func newError(httpStatus int, reason metav1.StatusReason, code string, t text) *Error {
	return &Error{HTTPStatus: httpStatus, Reason: reason, Code: code, What: t.what, Why: t.why, Next: t.next}
}

func unauthorized(code string, t text) *Error {
	return newError(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, code, t)
}

// unauthorizedNoRetry is a 401 that a renewed token would get as well.
func unauthorizedNoRetry(code string, t text) *Error {
	e := unauthorized(code, t)
	e.NoRetry = true
	return e
}

func forbidden(code string, t text) *Error {
	return newError(http.StatusForbidden, metav1.StatusReasonForbidden, code, t)
}

func badRequest(code string, t text) *Error {
	return newError(http.StatusBadRequest, metav1.StatusReasonBadRequest, code, t)
}

func tooMany(code string, t text) *Error {
	return newError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, code, t)
}

func unavailable(code string, t text, cause error) *Error {
	e := newError(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, code, t)
	e.cause = cause
	return e
}

const (
	refusedRequest = "The cluster refused the request"
	refusedToken   = "The cluster refused the token"
	accessDenied   = "Access denied"

	signIn        = "Run `kubectl fairlead login`"
	askAdmin      = "Ask your cluster administrator to look at the proxy's log"
	tryOrAskAdmin = "Try again. If the error stays, ask your cluster administrator"
	limitGroups   = "Ask your Fairlead administrator to limit the groups in tokens"
)

// Refusals of a request for its token.

// NoToken refuses a request without a bearer token.
func NoToken() *Error {
	return unauthorized("no_token", text{refusedRequest, "it carries no token", signIn})
}

// MultipleTokens refuses a request with several bearer tokens.
func MultipleTokens() *Error {
	return unauthorizedNoRetry("multiple_tokens", text{
		refusedRequest, "it carries more than one token",
		"Send one token, in the Authorization header or in the WebSocket subprotocol",
	})
}

// InvalidToken refuses a token that is not readable or not signed by the issuer.
func InvalidToken(why string) *Error {
	return unauthorized("invalid_token", text{refusedToken, why, signIn})
}

// WrongIssuer refuses a token of an issuer that the cluster does not trust.
func WrongIssuer() *Error {
	return unauthorizedNoRetry("wrong_issuer", text{
		refusedToken, "the cluster does not trust its issuer", "Use the kubeconfig that your Fairlead server offers for this cluster",
	})
}

// WrongAudience refuses a token that is for another cluster, or also for another cluster.
func WrongAudience() *Error {
	return unauthorizedNoRetry("wrong_audience", text{
		refusedToken, "its audience is not this cluster", "Use the kubeconfig context of this cluster",
	})
}

// TokenExpired refuses a token after its expiry.
func TokenExpired(expired, now time.Time) *Error {
	return unauthorized("token_expired", text{
		refusedToken, "it expired " + duration(now.Sub(expired)) + " ago", "Run the command again. If the error stays, run `kubectl fairlead login`",
	})
}

// TokenNotYetValid refuses a token before its "nbf" time.
func TokenNotYetValid(valid, now time.Time) *Error {
	return unauthorizedNoRetry("token_not_yet_valid", text{
		refusedToken, "it becomes valid in " + duration(valid.Sub(now)), "Ask your cluster administrator to compare the clocks of the issuer and of the proxy",
	})
}

// duration rounds d for a message: "3 minutes".
func duration(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := int64(d / unit.length); {
		case n == 1:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than a second"
}

// InvalidName refuses a token with a user or group name that no cluster may see. Subject says
// which name ("its user name"), err what is wrong with it ("is empty").
func InvalidName(subject string, err error) *Error {
	return forbidden("invalid_name", text{
		refusedToken, subject + " " + err.Error(), "Ask your Fairlead administrator to change the name at the identity provider",
	})
}

// InvalidClaim refuses a token of another trusted issuer for one of its claims.
func InvalidClaim(why string) *Error {
	return forbidden("invalid_claim", text{
		refusedToken, why, "Ask your cluster administrator to compare the issuer's claims with the proxy's authentication.file",
	})
}

// EmailNotVerified refuses a token whose user name is an e-mail address that is not verified.
func EmailNotVerified() *Error {
	return forbidden("email_not_verified", text{
		refusedToken, "its issuer has not verified your e-mail address, which is your user name here", "Verify the address at the issuer and sign in again",
	})
}

// TooManyGroups refuses a token with more groups than the limit.
func TooManyGroups(groups, limit int) *Error {
	return forbidden("too_many_groups", text{refusedToken, fmt.Sprintf("it lists %d groups and the limit is %d", groups, limit), limitGroups})
}

// KeysUnavailable refuses a token that cannot be verified, because the issuer's keys are not known.
func KeysUnavailable() *Error {
	return unavailable("keys_unavailable", text{
		"The proxy cannot verify the token", "it could not fetch the issuer's public keys", tryOrAskAdmin,
	}, nil)
}

// TokenReviewUnavailable refuses a service-account token when the token review failed.
func TokenReviewUnavailable(cause error) *Error {
	return unavailable("api_server_unreachable", text{
		"The proxy cannot verify the token", "the API server did not answer the token review", tryOrAskAdmin,
	}, cause)
}

// TokenReviewNotPermitted refuses a service-account token when the proxy may not create token
// reviews.
func TokenReviewNotPermitted() *Error {
	return forbidden("token_review_not_permitted", text{
		"The proxy cannot verify the token", "it lacks the permission to create token reviews",
		"Ask your cluster administrator to apply deploy/kubernetes/proxy-service-account-tokens-rbac.yaml",
	})
}

// TooManyTokenReviews refuses a service-account token at the limit of token reviews.
func TooManyTokenReviews() *Error {
	return tooMany("too_many_token_reviews", text{
		"The proxy did not verify the token", "it has received too many unknown tokens", "Try again in a few seconds",
	})
}

// Refusals of a user whose access was revoked. They also end open streams, so their messages
// have to fit into a WebSocket close frame.

// RevokedDevice refuses the tokens of a device that was signed out.
func RevokedDevice() *Error {
	return unauthorizedNoRetry("revoked_device", text{accessDenied, "this device was signed out", signIn})
}

// RevokedSignIn refuses the tokens of a sign-in that was ended.
func RevokedSignIn() *Error {
	return unauthorizedNoRetry("revoked_sign_in", text{accessDenied, "this sign-in was ended", signIn})
}

// RevokedUser refuses all tokens that a user got before their sign-ins were ended.
func RevokedUser() *Error {
	return unauthorizedNoRetry("revoked_user", text{accessDenied, "all your sign-ins were ended", signIn})
}

// NoAccess refuses a user whom no access rule lets use the cluster.
func NoAccess() *Error {
	return forbidden("no_access", text{
		accessDenied, "no access rule lets you use this cluster", "Open “My access” on the Fairlead server",
	})
}

// StreamExpired ends a stream whose token has expired.
func StreamExpired() *Error {
	return unauthorized("stream_expired", text{"The session ended", "its token has expired", "Run the command again"})
}

// FeedStale refuses requests and ends streams of a cluster that fails closed.
func FeedStale(lastContact time.Time) *Error {
	return unavailable("feed_stale", text{
		"The proxy refuses all requests", "it lost contact with the Fairlead server at " + lastContact.UTC().Format("15:04 UTC"), "Try again later",
	}, nil)
}

// ProxyStopping ends streams when the proxy stops.
func ProxyStopping() *Error {
	return unavailable("proxy_stopping", text{"The session ended", "the proxy is being stopped or replaced", "Run the command again"}, nil)
}

// RecordingUnavailable refuses or ends a session that has to be recorded and cannot be.
func RecordingUnavailable(cause error) *Error {
	return unavailable("recording_unavailable", text{
		"The session is not allowed", "the proxy cannot record it", "Ask your cluster administrator",
	}, cause)
}

// RecordingRequired refuses a command that a kubelet runs without a terminal.
func RecordingRequired() *Error {
	return forbidden("recording_required", text{
		refusedRequest, "the cluster records commands, and the kubelet's run endpoint cannot be recorded", "Use `kubectl exec`",
	})
}

// TooManyStreams refuses another stream to a user who has as many open as the limit allows.
func TooManyStreams(limit int) *Error {
	return tooMany("too_many_streams", text{
		refusedRequest, fmt.Sprintf("you have %d shells, port-forwards and watches open, which is the limit", limit), "Close some of them",
	})
}

// AuditUnavailable refuses a request that cannot be written to the audit log.
func AuditUnavailable(cause error) *Error {
	return unavailable("audit_unavailable", text{refusedRequest, "the proxy cannot write its audit log", askAdmin}, cause)
}

// Refusals of impersonation (kubectl --as).

// ImpersonationUnsupported refuses impersonation with a token that does not support it.
func ImpersonationUnsupported() *Error {
	return forbidden("impersonation_unsupported", text{
		refusedRequest, "the proxy does not support `kubectl --as` with this token", "Remove the flags --as, --as-group and --as-uid",
	})
}

// InvalidImpersonation refuses impersonation headers that are incomplete or ambiguous.
func InvalidImpersonation(why string) *Error {
	return badRequest("invalid_impersonation", text{refusedRequest, why, "Check the flags --as, --as-group and --as-uid"})
}

// ImpersonationNotSetUp refuses impersonation when the proxy may not create access reviews.
func ImpersonationNotSetUp() *Error {
	return forbidden("impersonation_not_set_up", text{
		"The proxy cannot check `kubectl --as`", "it lacks the permission to create access reviews",
		"Ask your cluster administrator to apply deploy/kubernetes/proxy-kubectl-as-rbac.yaml",
	})
}

// AccessReviewUnavailable refuses impersonation when the access review failed.
func AccessReviewUnavailable(cause error) *Error {
	return unavailable("api_server_unreachable", text{
		"The proxy cannot check `kubectl --as`", "the API server did not answer the access review", tryOrAskAdmin,
	}, cause)
}

// ImpersonationDenied passes on the API server's refusal of an impersonation.
func ImpersonationDenied(status metav1.Status) *Error {
	return &Error{HTTPStatus: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Code: "impersonation_denied", Verbatim: &status}
}

// Refusals of a request that cannot be forwarded.

// AmbiguousHeader refuses a header that a server behind the proxy could take for another one.
func AmbiguousHeader(name string) *Error {
	return forbidden("ambiguous_header", text{
		refusedRequest, fmt.Sprintf("a server could take its header %q for another one", name), "Remove the header",
	})
}

// HeadersTooLarge refuses a request whose headers, with the user's groups, exceed the limit.
func HeadersTooLarge(limit int) *Error {
	return forbidden("headers_too_large", text{
		refusedRequest, fmt.Sprintf("its headers, with all your groups, are larger than %d KiB", limit>>10), limitGroups,
	})
}

// RequestCancelled answers a request that its client has cancelled.
func RequestCancelled(cause error) *Error {
	return unavailable("request_cancelled", text{"The request did not finish", "the client cancelled it", "Run the command again"}, cause)
}

// APIServerUnreachable answers a request that could not be sent to the API server.
func APIServerUnreachable(cause error) *Error {
	return unavailable("api_server_unreachable", text{
		"The proxy cannot reach the cluster's API server", "the connection failed", tryOrAskAdmin,
	}, cause)
}

// ProxyCredentialRejected answers a request for which the API server rejected the credential of
// the proxy.
func ProxyCredentialRejected() *Error {
	return unavailable("proxy_credential_rejected", text{
		"The API server refused the proxy", "it does not accept the proxy's own credential", "Ask your cluster administrator to renew that credential",
	}, nil)
}

// UnsupportedUpgrade refuses an upgrade to a protocol that Kubernetes does not use.
func UnsupportedUpgrade() *Error {
	return badRequest("unsupported_upgrade", text{refusedRequest, "it asks for an upgrade to an unknown protocol", "Use WebSocket or SPDY/3.1"})
}

// UpgradeMismatch answers an upgrade after which the API server speaks another protocol.
func UpgradeMismatch() *Error {
	return unavailable("upgrade_mismatch", text{
		"The connection was not upgraded", "the API server switched to another protocol than requested", tryOrAskAdmin,
	}, nil)
}

// UpgradeFailed answers an upgrade of a connection that the proxy cannot take over.
func UpgradeFailed(cause error) *Error {
	return unavailable("upgrade_failed", text{"The connection was not upgraded", "the proxy cannot take it over", tryOrAskAdmin}, cause)
}
