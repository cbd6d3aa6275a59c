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

// assertionType is RFC 7523 section 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Limits of an assertion.
const (
	maxAssertionBytes = 8 << 10 // bytes
	maxAssertionLife  = 10 * time.Minute
	skew              = 30 * time.Second
)

// Algorithms returns what assertions may be signed with.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}
}

// parseAssertion finds out whose assertion it says it is. Nothing is checked yet.
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

// checkAssertion verifies an assertion (RFC 7523 section 3): by one of the
// client's keys, for this server, for a short time, and never seen before.
func (a *Authenticator) checkAssertion(ctx context.Context, client *clients.Client, text string) (bool, error) {
	token, err := jwt.ParseSigned(text, Algorithms())
	if err != nil {
		return false, nil //nolint:nilerr // not a JWT: that is an answer, not a fault
	}
	key := assertionKey(client, token.Headers[0])
	if key == nil {
		return false, nil
	}
	var claims jwt.Claims
	if err := token.Claims(key.Key, &claims); err != nil || !a.validClaims(client, &claims) {
		return false, nil //nolint:nilerr // see above
	}
	first, err := a.Limit.FirstUse(ctx, "assertion\x00"+client.ID+"\x00"+claims.ID, claims.Expiry.Time().Add(skew))
	if err != nil || !first {
		return false, err
	}
	return true, a.markUsed(ctx, store.SecretUseID(client.ID, key.KeyID))
}

// assertionKey finds the client's key that the header names. A key that states
// an algorithm is good for no other.
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
