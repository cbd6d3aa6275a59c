package jwks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// refetchAfter is the least time between two reads of a key set.
const refetchAfter = 10 * time.Second

// ErrUnknownKey means that no published key verifies a signature.
var ErrUnknownKey = errors.New("no published key verifies the signature")

// algorithms are the signature algorithms with a public key (RFC 7518 section 3.1,
// RFC 8037 section 3.1).
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Algorithms returns the signature algorithms that keys of a set can verify.
func Algorithms() []jose.SignatureAlgorithm {
	return append([]jose.SignatureAlgorithm(nil), algorithms...)
}

// Remote verifies signatures with a key set that another system publishes. It reads
// the set again when a signature names a key that it does not know, at most every ten
// seconds. It is safe for use by several goroutines.
type Remote struct {
	// Fetch reads the key set.
	Fetch func(ctx context.Context) ([]byte, error)
	// Now returns the time.
	Now func() time.Time

	flights singleflight.Group
	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time
}

// VerifySignature returns the payload of a JWS in compact form. It makes Remote a
// KeySet of go-oidc, whose caller has checked the algorithm.
func (r *Remote) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, algorithms)
	if err != nil {
		return nil, fmt.Errorf("parsing the signature: %w", err)
	}
	return r.Verify(ctx, signed)
}

// Verify returns the payload of a JWS with one signature. The error is ErrUnknownKey,
// the error of Fetch, or the context's.
func (r *Remote) Verify(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	if len(signed.Signatures) != 1 {
		return nil, ErrUnknownKey
	}
	if payload, ok := r.try(signed); ok {
		return payload, nil
	}
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	if payload, ok := r.try(signed); ok {
		return payload, nil
	}
	return nil, ErrUnknownKey
}

// try verifies with the known keys. A token without a key id may be signed with any
// of them.
func (r *Remote) try(signed *jose.JSONWebSignature) (payload []byte, ok bool) {
	id := signed.Signatures[0].Header.KeyID
	r.mu.Lock()
	keys := r.keys.Keys
	r.mu.Unlock()
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

// refresh reads the keys, unless that was done a moment ago. All callers share one
// read, and each waits no longer than its own context allows.
func (r *Remote) refresh(ctx context.Context) error {
	read := r.flights.DoChan("", func() (any, error) { return nil, r.read(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return fmt.Errorf("reading the key set: %w", ctx.Err())
	case result := <-read:
		return result.Err
	}
}

func (r *Remote) read(ctx context.Context) error {
	r.mu.Lock()
	recent := !r.fetched.IsZero() && r.Now().Sub(r.fetched) < refetchAfter
	r.mu.Unlock()
	if recent {
		return nil
	}
	text, err := r.Fetch(ctx)
	if err != nil {
		return err
	}
	keys, _, err := Parse(text)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.keys, r.fetched = keys, r.Now()
	r.mu.Unlock()
	return nil
}
