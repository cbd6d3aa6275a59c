package codeflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/rest"
	"github.com/fairlead-auth/fairlead/internal/jwks"
)

// leeway is the accepted difference between the provider's clock and this server's.
const leeway = time.Minute

// verifier verifies ID tokens with keys that package jwks reads. It does not use
// go-oidc, which refuses a whole key set for one unreadable key, and a whole token
// for a malformed "_claim_names".
type verifier struct {
	keys       jwks.Remote
	algorithms []jose.SignatureAlgorithm
	expected   jwt.Expected
	now        func() time.Time
}

func newVerifier(c *Connector, d *discovery) *verifier {
	v := &verifier{now: c.now}
	v.keys.Now = c.now
	v.keys.Fetch = func(ctx context.Context) ([]byte, error) { return fetchKeys(ctx, c.client, d.KeysURI) }
	// The algorithms of the discovery document.
	for _, a := range jwks.Algorithms() {
		if slices.Contains(d.Algorithms, string(a)) {
			v.algorithms = append(v.algorithms, a)
		}
	}
	if len(v.algorithms) == 0 {
		v.algorithms = []jose.SignatureAlgorithm{jose.RS256} // the default of the specification
	}
	v.expected = jwt.Expected{Issuer: d.Issuer, AnyAudience: jwt.Audience{c.cfg.ClientID}}
	return v
}

// verify returns the claims of an ID token (OpenID Connect Core section 3.1.3.7).
func (v *verifier) verify(ctx context.Context, raw, nonce string) (claims.Set, error) {
	payload, err := v.signature(ctx, raw)
	if err != nil {
		return nil, err
	}
	said, err := claims.Decode(payload)
	if err != nil {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's ID token holds no claims.", "")
	}
	if err := v.validate(payload); err != nil {
		return nil, err
	}
	if nonce != "" && said.Text("nonce") != nonce {
		return nil, connectors.NewError(connectors.OutcomeDenied, nil, "The provider's ID token belongs to another sign-in.", connectors.SignInAgain)
	}
	return said, nil
}

// validate checks issuer, audience and times.
func (v *verifier) validate(payload []byte) error {
	var registered jwt.Claims
	if err := json.Unmarshal(payload, &registered); err != nil {
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's ID token is malformed.", "")
	}
	err := registered.ValidateWithLeeway(v.expected.WithTime(v.now()), leeway)
	switch {
	case registered.Expiry == nil:
		return connectors.NewError(connectors.OutcomeMisconfigured, nil, "The provider's ID token has no expiry.", "")
	case errors.Is(err, jwt.ErrExpired), errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's ID token is not valid at the time of this server.",
			"Set the clocks of this server and of the provider (NTP).")
	case err != nil:
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's ID token is not one for this connector.",
			"Check the issuer and the client ID.")
	}
	return nil
}

// signature verifies a JWS and returns what it signs.
func (v *verifier) signature(ctx context.Context, raw string) ([]byte, error) {
	signed, err := jose.ParseSigned(raw, v.algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's ID token is not signed with an algorithm that its discovery document names.",
			"Choose RS256 or ES256 for ID tokens at the provider.")
	}
	payload, err := v.keys.Verify(ctx, signed)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey):
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, fmt.Sprintf("The provider's ID token is signed with the key %q, which the provider does not publish.", signed.Signatures[0].Header.KeyID),
			"Check that the issuer is the right one, and try again in a minute if the provider has just changed its keys.")
	case errors.Is(err, jwks.ErrNoKeys):
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider publishes no key that this server can use.", "Open the jwks_uri of its discovery document in a browser.")
	case err != nil:
		return nil, fmt.Errorf("reading the provider's keys: %w", err)
	}
	return payload, nil
}

func fetchKeys(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	answer, err := rest.Ask(ctx, client, rest.Request{Method: http.MethodGet, URL: address, FollowRedirects: true})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, connectors.OAuthError(answer.Status, "", "")
	}
	return answer.Body(), nil
}
