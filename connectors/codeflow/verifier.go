package codeflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/sync/singleflight"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/rest"
	"github.com/fairlead-auth/fairlead/internal/jwks"
)

// refetchAfter is the least time between two reads of the provider's keys.
const refetchAfter = 10 * time.Second

// algorithms are the signature algorithms of ID tokens that are accepted, if the
// provider's discovery document names them: those with a public key.
var algorithms = [...]jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// leeway is how far the provider's clock may be from this server's.
const leeway = time.Minute

// verifier verifies ID tokens with keys that package jwks reads. It does not use
// go-oidc, which refuses a whole key set for one unreadable key, and a whole token
// for a malformed "_claim_names".
type verifier struct {
	client     *http.Client
	keysURI    string
	algorithms []jose.SignatureAlgorithm
	expected   jwt.Expected
	now        func() time.Time
	flights    singleflight.Group

	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time
}

func newVerifier(c *Connector, d *discovery) *verifier {
	v := &verifier{client: c.client, keysURI: d.KeysURI, now: c.now}
	for _, a := range algorithms {
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
		return nil, connectors.NewError(connectors.OutcomeDenied, nil, "The provider's ID token belongs to another sign-in.", "Sign in again.")
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
	if payload, ok := v.try(signed); ok {
		return payload, nil
	}
	if err := v.fetch(ctx); err != nil {
		return nil, err
	}
	if payload, ok := v.try(signed); ok {
		return payload, nil
	}
	return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, fmt.Sprintf("The provider's ID token is signed with the key %q, which the provider does not publish.", signed.Signatures[0].Header.KeyID),
		"Check that the issuer is the right one, and try again in a minute if the provider has just changed its keys.")
}

// try verifies with the keys that are known. A token without a key id may be
// signed with any of them.
func (v *verifier) try(signed *jose.JSONWebSignature) (payload []byte, ok bool) {
	id := signed.Signatures[0].Header.KeyID
	v.mu.Lock()
	keys := v.keys.Keys
	v.mu.Unlock()
	for _, key := range keys {
		if id != "" && key.KeyID != "" && key.KeyID != id {
			continue
		}
		if payload, err := signed.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fetch reads the provider's keys, unless that was done a moment ago. All callers
// share one read, and each waits no longer than its own context allows.
func (v *verifier) fetch(ctx context.Context) error {
	read := v.flights.DoChan("", func() (any, error) { return nil, v.read(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return fmt.Errorf("reading the provider's keys: %w", ctx.Err())
	case result := <-read:
		return result.Err
	}
}

func (v *verifier) read(ctx context.Context) error {
	v.mu.Lock()
	recent := !v.fetched.IsZero() && v.now().Sub(v.fetched) < refetchAfter
	v.mu.Unlock()
	if recent {
		return nil
	}
	answer, err := rest.Ask(ctx, v.client, rest.Request{Method: http.MethodGet, URL: v.keysURI, FollowRedirects: true})
	if err != nil {
		return fmt.Errorf("reading the provider's keys: %w", err)
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("reading the provider's keys: %w", connectors.OAuthError(answer.Status, "", ""))
	}
	keys, _, err := jwks.Parse(answer.Body())
	if err != nil {
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "The provider's keys can't be read.", "Check the address "+v.keysURI+" in a browser.")
	}
	v.mu.Lock()
	v.keys, v.fetched = keys, v.now()
	v.mu.Unlock()
	return nil
}
