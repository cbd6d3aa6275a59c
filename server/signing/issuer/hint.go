package issuer

import (
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// IDTokenHint holds the claims of an ID token that this server issued. The token may have expired, because clients
// keep ID tokens for a long time (OpenID Connect RP-Initiated Logout section 2).
type IDTokenHint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	SignInID string `json:"sid"`
}

// ErrIDTokenHint is the error for a token that this server did not issue.
var ErrIDTokenHint = errors.New("not an ID token of this issuer")

// ReadIDTokenHint verifies an ID token hint. The error is ErrIDTokenHint.
func (i *Issuer) ReadIDTokenHint(token string) (*IDTokenHint, error) {
	payload, err := i.Keys.Verify(token)
	if err != nil {
		return nil, ErrIDTokenHint
	}
	var hint IDTokenHint
	if json.Unmarshal(payload, &hint) != nil || hint.Issuer != i.URL || hint.Subject == "" || hint.Audience == "" {
		return nil, ErrIDTokenHint
	}
	return &hint, nil
}

// UnverifiedAudience returns the audience of an ID token whose signature it does not check, or an empty text.
func UnverifiedAudience(token string) string {
	parsed, err := jwt.ParseSigned(token, keys.Algorithms())
	if err != nil {
		return ""
	}
	var hint IDTokenHint
	if parsed.UnsafeClaimsWithoutVerification(&hint) != nil {
		return ""
	}
	return hint.Audience
}

// SignLogoutToken signs a logout token. Its "typ" header distinguishes it from an ID token (OpenID Connect
// Back-Channel Logout section 2.4).
func (i *Issuer) SignLogoutToken(alg string, payload []byte) (string, error) {
	return i.Keys.SignWithType(algorithmOrDefault(alg), "logout+jwt", payload)
}
