package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/fairlead-auth/fairlead/proxy/status"
)

const (
	// The keys are fetched again after half of the time that the issuer allows them to be cached,
	// within these bounds.
	maxRefreshInterval = 5 * time.Minute
	minRefreshInterval = 250 * time.Millisecond
	// retryInterval is the time to wait after a failed fetch.
	retryInterval = 5 * time.Second
	// unknownKeyInterval is the minimum time between fetches for unknown key IDs, so that forged
	// tokens cannot make the proxy flood the issuer.
	unknownKeyInterval = 10 * time.Second
	fetchTimeout       = 10 * time.Second
	// maxDocumentBytes bounds the size of the issuer's documents.
	maxDocumentBytes = 1 << 20
)

// KeySet holds the public keys of an issuer. It keeps them while the issuer is unreachable.
type KeySet struct {
	issuer string
	// DiscoveryURL, when set, replaces the default URL of the issuer's discovery document.
	DiscoveryURL string
	client       *http.Client
	now          func() time.Time
	logger       *slog.Logger
	fetches      singleflight.Group

	mu                  sync.RWMutex
	keys                map[string]jose.JSONWebKey
	generation          int
	etag                string
	jwksURI             string
	maxAge              time.Duration
	lastUnknownKeyFetch time.Time
	unreachable         bool // the last fetch failed
}

// NewKeySet returns an empty set. Run or the first token fetches the keys.
func NewKeySet(issuer string, client *http.Client, now func() time.Time, logger *slog.Logger) *KeySet {
	return &KeySet{issuer: issuer, client: client, now: now, logger: logger}
}

// Run fetches the keys periodically until ctx ends.
func (s *KeySet) Run(ctx context.Context) error {
	for {
		err := s.refresh(ctx)
		wait := s.refreshInterval()
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "issuer keys not fetched, keeping the old ones", "issuer", s.issuer, "error", err)
			wait = min(wait, retryInterval)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// refreshInterval returns the time to wait before the next fetch.
func (s *KeySet) refreshInterval() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.maxAge == 0 {
		return maxRefreshInterval
	}
	return max(minRefreshInterval, min(maxRefreshInterval, s.maxAge/2))
}

// Ready reports whether the set has a key.
func (s *KeySet) Ready() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.keys) > 0
}

// Generation returns a number that changes when the keys change.
func (s *KeySet) Generation() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.generation
}

// key returns a key by its ID. An unknown ID causes one rate-limited fetch, and all concurrent callers
// wait for it: after a key rotation, their tokens may be valid.
func (s *KeySet) key(ctx context.Context, id string) (jose.JSONWebKey, bool) {
	if k, known := s.lookup(id); known {
		return k, true
	}
	_, err, _ := s.fetches.Do("unknown", func() (any, error) {
		if !s.allowUnknownKeyFetch() {
			return nil, nil
		}
		return nil, s.refresh(ctx)
	})
	if err != nil {
		s.logger.WarnContext(ctx, "issuer keys not fetched", "issuer", s.issuer, "error", err)
	}
	return s.lookup(id)
}

// verify verifies the signature of a token and returns its payload. It accepts only the given
// algorithms: this excludes "none", and a public key that is used as an HMAC secret.
func (s *KeySet) verify(ctx context.Context, token string, algorithms []jose.SignatureAlgorithm) ([]byte, *status.Error) {
	malformed := status.InvalidToken("it is not signed by an issuer that the cluster trusts")
	if len(token) > MaxTokenBytes {
		return nil, malformed
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, malformed
	}
	head := parsed.Signatures[0].Header
	key, known := s.key(ctx, head.KeyID)
	if !known && (!s.Ready() || s.isUnreachable()) {
		return nil, status.KeysUnavailable()
	}
	if !known || (key.Algorithm != "" && key.Algorithm != head.Algorithm) {
		return nil, malformed
	}
	payload, err := parsed.Verify(key.Key)
	if err != nil {
		return nil, malformed
	}
	return payload, nil
}

// isUnreachable reports whether the last fetch failed. In that case an unknown key may be the issuer's.
func (s *KeySet) isUnreachable() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.unreachable
}

func (s *KeySet) lookup(id string) (jose.JSONWebKey, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, known := s.keys[id]
	return k, known
}

func (s *KeySet) allowUnknownKeyFetch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.lastUnknownKeyFetch.IsZero() || now.Sub(s.lastUnknownKeyFetch) >= unknownKeyInterval {
		s.lastUnknownKeyFetch = now
		return true
	}
	return false
}

func (s *KeySet) refresh(ctx context.Context) error {
	_, err, _ := s.fetches.Do("refresh", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unreachable = err != nil
		return nil, err
	})
	return err
}

func (s *KeySet) fetch(ctx context.Context) error {
	s.mu.RLock()
	uri, etag := s.jwksURI, s.etag
	s.mu.RUnlock()
	if uri == "" {
		var err error
		if uri, err = s.discover(ctx); err != nil {
			return err
		}
	}
	var set jose.JSONWebKeySet
	etag, err := s.get(ctx, uri, etag, &set)
	if errors.Is(err, errNotModified) {
		return nil
	}
	if err != nil {
		return err
	}
	keys := usableKeys(set)
	if len(keys) == 0 {
		return errors.New("the issuer publishes no usable key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.etag, s.jwksURI = keys, etag, uri
	s.generation++
	return nil
}

func usableKeys(set jose.JSONWebKeySet) map[string]jose.JSONWebKey {
	keys := map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		if k.KeyID != "" && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			keys[k.KeyID] = k
		}
	}
	return keys
}

// Export returns the keys as a JSON Web Key Set. The proxy saves it for a start without the issuer.
func (s *KeySet) Export() json.RawMessage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var set jose.JSONWebKeySet
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		set.Keys = append(set.Keys, s.keys[id])
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil // cannot happen: the keys were decoded from JSON
	}
	return text
}

// Import loads saved keys. The next successful fetch replaces them.
func (s *KeySet) Import(text json.RawMessage) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("reading the saved keys: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		s.keys = usableKeys(set)
		s.generation++
	}
	return nil
}

func (s *KeySet) discover(ctx context.Context) (string, error) {
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	address := s.DiscoveryURL
	if address == "" {
		address = strings.TrimSuffix(s.issuer, "/") + "/.well-known/openid-configuration"
	}
	if _, err := s.get(ctx, address, "", &doc); err != nil {
		return "", err
	}
	if doc.Issuer != s.issuer {
		return "", fmt.Errorf("the discovery document is of the issuer %q, but %q is configured", doc.Issuer, s.issuer)
	}
	return doc.JWKSURI, nil
}

var errNotModified = errors.New("not modified")

func (s *KeySet) get(ctx context.Context, address, etag string, into any) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("fetching from the issuer: %w", err)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("fetching from the issuer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return etag, errNotModified
	default:
		return "", fmt.Errorf("fetching from the issuer: %s answered %s", address, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDocumentBytes)).Decode(into); err != nil {
		return "", fmt.Errorf("decoding the issuer's response: %w", err)
	}
	if seconds, found := strings.CutPrefix(resp.Header.Get("Cache-Control"), "public, max-age="); found {
		s.setMaxAge(seconds)
	}
	return resp.Header.Get("ETag"), nil
}

func (s *KeySet) setMaxAge(seconds string) {
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxAge = time.Duration(n) * time.Second
}
