// Package authn authenticates bearer tokens (OIDC ID tokens) and returns the identity in them. Package
// impersonate turns an identity into headers.
package authn

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// The extra keys that show the API server where a token comes from.
const (
	ExtraSignIn        = "fairlead.dev/sid"
	ExtraDevice        = "fairlead.dev/device"
	ExtraCredential    = "authentication.kubernetes.io/credential-id"
	ExtraClientAddress = "fairlead.dev/client-address"
)

// Limits of tokens.
const (
	// MaxTokenBytes is the maximum length of a token.
	MaxTokenBytes = 48 << 10
	// MaxGroups is the maximum number of groups in a token.
	MaxGroups = 512
	// cacheTTL and cacheSize bound the cache of verified tokens.
	cacheTTL  = 10 * time.Minute
	cacheSize = 16_384
	// notBeforeSkew is how far the issuer's clock may be ahead for "nbf". There is no tolerance for
	// the expiry.
	notBeforeSkew = 30 * time.Second
)

// Identity is the user, group and token data of an authenticated request. It is shared between requests
// and must not be modified.
type Identity struct {
	User    string
	UID     string
	Groups  []string
	Extra   []Extra
	TokenID string
	// Issuer is empty for a token of the Fairlead server, which knows only its own users.
	Issuer string
	// ServiceAccount says that the API server issued the token. The proxy forwards such a token
	// instead of impersonating its user.
	ServiceAccount bool
	// SignIn and Device are the sign-in and the device that the token belongs to. Either may be empty.
	SignIn, Device  string
	Issued, Expires time.Time
}

// Extra is one value of the user's extra fields.
type Extra struct{ Key, Value string }

// Verifier authenticates tokens of the Fairlead server and of other trusted issuers.
type Verifier struct {
	// Issuer and Audience must match the token exactly. SetAudience changes the audience.
	Issuer, Audience string
	Keys             *KeySet
	Now              func() time.Time
	// TrustedIssuers are other issuers, by URL.
	TrustedIssuers map[string]*Issuer
	// ReviewToken authenticates a token of any other issuer. Nil refuses it.
	ReviewToken func(ctx context.Context, token string) (*Identity, *status.Error)

	mu              sync.RWMutex
	cache           map[[sha256.Size]byte]cacheEntry
	audienceVersion int // incremented by each change of the audience
}

type cacheEntry struct {
	identity   *Identity
	keys       *KeySet
	generation int
	until      time.Time
}

// Authenticate returns the identity of a request.
func (v *Verifier) Authenticate(r *http.Request) (*Identity, *status.Error) {
	token, err := Token(r.Header)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), token)
}

// SetAudience replaces the audience. Tokens for the old one are refused from now on.
func (v *Verifier) SetAudience(audience string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Audience != audience {
		v.Audience, v.cache = audience, nil
		v.audienceVersion++
	}
}

func (v *Verifier) currentAudience() (audience string, turn int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.Audience, v.audienceVersion
}

// Verify returns the identity in a token. It caches identities until the token expires or the issuer's
// keys change. It does not cache refusals.
func (v *Verifier) Verify(ctx context.Context, token string) (*Identity, *status.Error) {
	key, now := sha256.Sum256([]byte(token)), v.Now()
	v.mu.RLock()
	hit, known := v.cache[key]
	v.mu.RUnlock()
	if known && hit.generation == hit.keys.Generation() && now.Before(hit.until) {
		return hit.identity, nil
	}
	// The claimed issuer only selects the keys. The signature proves it.
	issuer := claimedIssuer(token)
	other, trusted := v.TrustedIssuers[issuer]
	switch {
	case trusted:
		return v.verifyAndCache(key, other.Keys, func() (*Identity, *status.Error) { return other.verify(ctx, token, now) })
	case v.ReviewToken != nil && issuer != "" && issuer != v.Issuer:
		return v.ReviewToken(ctx, token)
	}
	return v.verifyAndCache(key, v.Keys, func() (*Identity, *status.Error) { return v.verify(ctx, token, now) })
}

// verifyAndCache calls verify and caches its identity while the issuer's keys stay the same.
func (v *Verifier) verifyAndCache(key [sha256.Size]byte, keys *KeySet, verify func() (*Identity, *status.Error)) (*Identity, *status.Error) {
	_, turn := v.currentAudience()
	identity, refusal := verify()
	if refusal != nil {
		return nil, refusal
	}
	v.store(key, turn, cacheEntry{identity: identity, keys: keys, generation: keys.Generation(), until: earlier(identity.Expires, v.Now().Add(cacheTTL))})
	return identity, nil
}

// claimedIssuer returns the "iss" claim of a token that is not verified yet.
func claimedIssuer(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > MaxTokenBytes || len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c claims
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Issuer
}

// RecentUsers returns the IDs of the Fairlead server's users in the cache.
func (v *Verifier) RecentUsers() []string {
	now := v.Now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	people := map[string]bool{}
	for _, entry := range v.cache {
		if now.Before(entry.until) && entry.identity.Issuer == "" {
			people[entry.identity.UID] = true
		}
	}
	return slices.Sorted(maps.Keys(people))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (v *Verifier) store(key [sha256.Size]byte, turn int, entry cacheEntry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if turn != v.audienceVersion {
		return // the token was verified for the old audience
	}
	if v.cache == nil || len(v.cache) >= cacheSize {
		v.cache = make(map[[sha256.Size]byte]cacheEntry) // a full cache is rare, so no entry has to be chosen
	}
	v.cache[key] = entry
}

// claims holds the claims that the verifier reads.
type claims struct {
	validity
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	ID       string          `json:"jti"`
	Username string          `json:"preferred_username"`
	Groups   []string        `json:"groups"`
	SignIn   string          `json:"sid"`
	Device   string          `json:"device_id"`
}

// validity holds the time claims of a token (RFC 7519 section 4.1).
type validity struct {
	Expiry    json.Number `json:"exp"`
	NotBefore json.Number `json:"nbf"`
	IssuedAt  json.Number `json:"iat"`
}

func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (*Identity, *status.Error) {
	payload, refusal := v.Keys.verify(ctx, token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if refusal != nil {
		return nil, refusal
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, status.InvalidToken("its claims are not readable")
	}
	expires, refusal := v.checkClaims(&c, now)
	if refusal != nil {
		return nil, refusal
	}
	return newIdentity(&c, expires)
}

// checkClaims checks issuer, audience and times.
func (v *Verifier) checkClaims(c *claims, now time.Time) (time.Time, *status.Error) {
	if c.Issuer != v.Issuer {
		return time.Time{}, status.WrongIssuer()
	}
	if audience, _ := v.currentAudience(); !isOnlyAudience(c.Audience, audience) {
		return time.Time{}, status.WrongAudience()
	}
	return c.checkTimes(now)
}

// checkTimes checks the times as an API server does, and returns the expiry.
func (c validity) checkTimes(now time.Time) (time.Time, *status.Error) {
	expires, ok := parseNumericDate(c.Expiry)
	if !ok {
		return time.Time{}, status.InvalidToken("it has no expiry")
	}
	if !now.Before(expires) {
		return time.Time{}, status.TokenExpired(expires, now)
	}
	if begins, given := parseNumericDate(c.NotBefore); given && now.Add(notBeforeSkew).Before(begins) {
		return time.Time{}, status.TokenNotYetValid(begins, now)
	}
	return expires, nil
}

// isOnlyAudience requires that the cluster is the only audience. The operator of another audience could
// otherwise use the token here.
func isOnlyAudience(raw json.RawMessage, want string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one == want
	}
	var many []string
	return json.Unmarshal(raw, &many) == nil && len(many) == 1 && many[0] == want
}

func parseNumericDate(n json.Number) (time.Time, bool) {
	seconds, err := n.Float64()
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// newIdentity returns the identity of a token. It refuses names that must never be impersonated, even if
// the issuer is trusted.
func newIdentity(c *claims, expires time.Time) (*Identity, *status.Error) {
	if err := kubenames.Check(c.Username); err != nil {
		return nil, status.InvalidName("its user name", err)
	}
	if err := kubenames.Check(c.Subject); err != nil {
		return nil, status.InvalidName("its subject", err)
	}
	if refusal := checkGroups(c.Groups); refusal != nil {
		return nil, refusal
	}
	id := &Identity{User: c.Username, UID: c.Subject, Groups: c.Groups, TokenID: c.ID, SignIn: c.SignIn, Device: c.Device, Expires: expires}
	id.Issued, _ = parseNumericDate(c.IssuedAt) // a token without "iat" counts as older than any revocation
	for _, e := range []Extra{{ExtraSignIn, c.SignIn}, {ExtraDevice, c.Device}} {
		if e.Value != "" && kubenames.Check(e.Value) == nil {
			id.Extra = append(id.Extra, e)
		}
	}
	if c.ID != "" && kubenames.Check(c.ID) == nil {
		id.Extra = append(id.Extra, Extra{ExtraCredential, "JTI=" + c.ID})
	}
	return id, nil
}

func checkGroups(groups []string) *status.Error {
	if len(groups) > MaxGroups {
		return status.TooManyGroups(len(groups), MaxGroups)
	}
	for _, g := range groups {
		if err := kubenames.Check(g); err != nil {
			return status.InvalidName("a group name in it", err)
		}
	}
	return nil
}

// tokenProtocolPrefix marks the token in the list of WebSocket subprotocols
// (k8s.io/apiserver/pkg/authentication/request/websocket).
const tokenProtocolPrefix = "base64url.bearer.authorization.k8s.io."

// Token returns the bearer token of a request, from the Authorization header or from the WebSocket
// subprotocols, which browsers use. It refuses several tokens, because they could be of different users.
func Token(h http.Header) (string, *status.Error) {
	headers := h.Values("Authorization")
	protocols := protocolTokens(h)
	if len(headers)+len(protocols) > 1 {
		return "", status.MultipleTokens()
	}
	if len(protocols) == 1 {
		raw, err := base64.RawURLEncoding.DecodeString(protocols[0])
		if err != nil || len(raw) == 0 {
			return "", status.InvalidToken("the WebSocket subprotocol does not hold it in base64url")
		}
		return string(raw), nil
	}
	if len(headers) == 1 {
		scheme, token, _ := strings.Cut(headers[0], " ")
		if token = strings.TrimSpace(token); token != "" && strings.EqualFold(scheme, "Bearer") {
			return token, nil
		}
	}
	return "", status.NoToken()
}

func protocolTokens(h http.Header) []string {
	var tokens []string
	for _, value := range h.Values("Sec-Websocket-Protocol") {
		for p := range strings.SplitSeq(value, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(p), tokenProtocolPrefix); ok {
				tokens = append(tokens, token)
			}
		}
	}
	return tokens
}

// WithoutTokenProtocol removes the token from a list of WebSocket subprotocols.
func WithoutTokenProtocol(values []string) []string {
	var kept []string
	for _, value := range values {
		for p := range strings.SplitSeq(value, ",") {
			if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, tokenProtocolPrefix) {
				kept = append(kept, p)
			}
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return []string{strings.Join(kept, ", ")}
}
