package clientauth

import (
	"context"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// assertionType is the client_assertion_type of RFC 7523 section 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The limits of an assertion.
const (
	maxAssertionBytes = 8 << 10 // bytes
	maxAssertionLife  = 10 * time.Minute
	skew              = 30 * time.Second
)

// Algorithms returns the signature algorithms that assertions may use.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}
}

// parseAssertion returns the client id in an assertion. It verifies nothing.
func parseAssertion(given credentials, p oauth.Params) (credentials, error) {
	refusal := oauth.Errorf(oauth.InvalidClient, "The client_assertion is not a signed JWT, or the client_assertion_type is not %s. Check both.", assertionType)
	if p["client_assertion_type"] != assertionType || len(given.assertion) > maxAssertionBytes {
		return given, refusal
	}
	token, err := jwt.ParseSigned(given.assertion, Algorithms())
	if err != nil {
		return given, refusal
	}
	var claims jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return given, refusal
	}
	if given.id != "" && given.id != claims.Subject {
		return given, oauth.Errorf(oauth.InvalidRequest, "The request has two different client IDs. Send the same one everywhere.")
	}
	given.id = claims.Subject
	return given, nil
}

// checkAssertion verifies an assertion (RFC 7523 section 3). One of the client's keys must have signed it for this
// server and for a short time, and it must be new.
func (a *Authenticator) checkAssertion(ctx context.Context, client *clients.Client, text string) (bool, error) {
	token, err := jwt.ParseSigned(text, Algorithms())
	if err != nil {
		return false, nil //nolint:nilerr // not a JWT: the credentials are wrong, and nothing else failed
	}
	key := assertionKey(client, token.Headers[0])
	if key == nil {
		return false, nil
	}
	var claims jwt.Claims
	if err := token.Claims(key.Key, &claims); err != nil || !a.validClaims(client, &claims) {
		return false, nil //nolint:nilerr // as above
	}
	first, err := a.Limit.FirstUse(ctx, "assertion\x00"+client.ID+"\x00"+claims.ID, claims.Expiry.Time().Add(skew))
	if err != nil || !first {
		return false, err
	}
	return true, a.markUsed(ctx, store.SecretUseID(client.ID, key.KeyID))
}

// assertionKey finds the client's key that the header names. A key with an "alg" works with that algorithm only.
func assertionKey(client *clients.Client, header jose.Header) *jose.JSONWebKey {
	for i := range client.Keys.Keys {
		key := &client.Keys.Keys[i]
		named := key.KeyID == header.KeyID || header.KeyID == "" && len(client.Keys.Keys) == 1
		if named && (key.Algorithm == "" || key.Algorithm == header.Algorithm) && key.IsPublic() && key.Valid() {
			return key
		}
	}
	return nil
}

func (a *Authenticator) validClaims(client *clients.Client, claims *jwt.Claims) bool {
	now := a.Now()
	switch {
	case claims.Issuer != client.ID, claims.Subject != client.ID, claims.ID == "":
		return false
	case len(claims.Audience) != 1 || !slices.Contains(a.Audiences, claims.Audience[0]):
		return false
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time().Add(skew)) || claims.Expiry.Time().Sub(now) > maxAssertionLife:
		return false
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(skew)):
		return false
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(skew)):
		return false
	}
	return true
}
