// Package tokenreview authenticates service-account tokens with the API server's TokenReview. The proxy
// forwards these tokens unchanged, so the API server authorizes the requests as it does without a proxy.
package tokenreview

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	authnv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/kubereview"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

const (
	// acceptedTTL and rejectedTTL bound how long a result is cached, at most until the token expires.
	acceptedTTL     = time.Minute
	rejectedTTL     = 10 * time.Second
	maxCacheEntries = 4096
	// reviewsPerSecond and reviewBurst limit the reviews, so that forged tokens do not flood the API
	// server.
	reviewsPerSecond = 20
	reviewBurst      = 50
	reviewTimeout    = 5 * time.Second
	// serviceAccountPrefix begins the user name of every service account.
	serviceAccountPrefix = "system:serviceaccount:"
)

// Issuer is the Identity.Issuer of service accounts.
const Issuer = "kubernetes"

// Reviewer verifies tokens with TokenReviews of authentication.k8s.io/v1. It caches the results.
type Reviewer struct {
	client    *kubereview.Client
	audiences []string
	now       func() time.Time
	limit     *rate.Limiter
	flight    singleflight.Group

	mu    sync.Mutex
	cache map[[sha256.Size]byte]result
}

type result struct {
	identity *authn.Identity
	refusal  *status.Error
	until    time.Time
}

// NewReviewer returns a Reviewer with the credentials of a client-go configuration. A token must have
// one of the audiences; without audiences, the API server's own.
func NewReviewer(cfg *rest.Config, audiences []string, now func() time.Time) (*Reviewer, error) {
	client, err := kubereview.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Reviewer{
		client: client, audiences: audiences, now: now,
		limit: rate.NewLimiter(reviewsPerSecond, reviewBurst), cache: map[[sha256.Size]byte]result{},
	}, nil
}

// Review returns the identity of a token's service account.
func (v *Reviewer) Review(ctx context.Context, token string) (*authn.Identity, *status.Error) {
	key := sha256.Sum256([]byte(token))
	v.mu.Lock()
	kept, there := v.cache[key]
	v.mu.Unlock()
	if there && v.now().Before(kept.until) {
		return kept.identity, kept.refusal
	}
	fresh, _, _ := v.flight.Do(string(key[:]), func() (any, error) { return v.review(ctx, token), nil })
	a, ok := fresh.(result)
	if !ok {
		return nil, status.TokenReviewUnavailable(nil)
	}
	if !a.until.IsZero() {
		v.store(key, a)
	}
	return a.identity, a.refusal
}

func (v *Reviewer) store(key [sha256.Size]byte, a result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.cache) >= maxCacheEntries {
		clear(v.cache) // a full cache is rare, so no entry has to be chosen
	}
	v.cache[key] = a
}

// review creates a TokenReview. Failed reviews are not cached.
func (v *Reviewer) review(ctx context.Context, token string) result {
	if !v.limit.AllowN(v.now(), 1) {
		return result{refusal: status.TooManyTokenReviews()}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
	defer cancel()
	reviewed, err := v.createTokenReview(ctx, token)
	if errors.Is(err, kubereview.ErrForbidden) {
		return result{refusal: status.TokenReviewNotPermitted()}
	}
	if err != nil {
		return result{refusal: status.TokenReviewUnavailable(err)}
	}
	now := v.now()
	if !reviewed.Authenticated || !strings.HasPrefix(reviewed.User.Username, serviceAccountPrefix) {
		return result{refusal: status.InvalidToken("the API server does not accept it as a service-account token"), until: now.Add(rejectedTTL)}
	}
	id := &authn.Identity{User: reviewed.User.Username, UID: reviewed.User.UID, Issuer: Issuer, ServiceAccount: true, Expires: tokenExpiry(token)}
	for _, g := range reviewed.User.Groups {
		if g != "system:authenticated" {
			id.Groups = append(id.Groups, g)
		}
	}
	for key, values := range reviewed.User.Extra {
		for _, value := range values {
			id.Extra = append(id.Extra, authn.Extra{Key: key, Value: value})
		}
	}
	until := now.Add(acceptedTTL)
	if !id.Expires.IsZero() && id.Expires.Before(until) {
		until = id.Expires
	}
	return result{identity: id, until: until}
}

// tokenExpiry returns the expiry of a token that the API server has accepted, or zero.
func tokenExpiry(token string) time.Time {
	var claims struct {
		Expiry int64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expiry <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expiry, 0)
}

func (v *Reviewer) createTokenReview(ctx context.Context, token string) (authnv1.TokenReviewStatus, error) {
	question := authnv1.TokenReview{
		TypeMeta: metav1.TypeMeta{Kind: "TokenReview", APIVersion: authnv1.SchemeGroupVersion.String()},
		Spec:     authnv1.TokenReviewSpec{Token: token, Audiences: v.audiences},
	}
	var answer authnv1.TokenReview
	err := v.client.Create(ctx, "/apis/authentication.k8s.io/v1/tokenreviews", question, &answer)
	return answer.Status, err
}
