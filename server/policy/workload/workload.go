// Package workload authenticates CI jobs and other workloads by the OIDC token of
// their platform, and clients that use the client credentials grant. Both become
// users with a name and groups, so access rules apply to them too. Neither gets a
// refresh token.
package workload

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/rest"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/jwks"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// The connector ids of users that are workloads. Configured connectors cannot have these ids.
const (
	ConnectorID        = store.WorkloadConnectorID
	ServiceConnectorID = store.ServiceConnectorID
)

// IsWorkload reports whether a user is a workload, which has no upstream to recheck.
func IsWorkload(u *store.User) bool {
	return u.ConnectorID == ConnectorID || u.ConnectorID == ServiceConnectorID
}

// maxToken bounds a platform's token in bytes. fetchTimeout is the deadline of a request to the platform.
const (
	maxTokenBytes = 16 << 10
	fetchTimeout  = 10 * time.Second
	// verifierLife is how long an issuer's discovery document is cached.
	verifierLife = time.Hour
)

// Registry authenticates workloads.
type Registry struct {
	Store *store.Store
	Audit *audit.Log
	Now   func() time.Time

	flights   singleflight.Group
	mu        sync.Mutex
	verifiers map[string]verifier
}

// verifier verifies tokens of one issuer with one version of its configuration.
type verifier struct {
	issuer store.TrustedIssuer
	tokens *oidc.IDTokenVerifier
	expiry time.Time
}

// errUntrustedToken is the same for every token that is not trusted.
func errUntrustedToken(cause error) error {
	return errs.Wrap(errs.Denied, cause, "The workload token is not valid: its issuer is not trusted, its audience is another one, or it has expired. Check its iss, aud and exp claims.")
}

// Authenticate verifies a platform's token and returns the user of its workload, and when the token was issued. The
// error is of kind Denied if the token is not trusted.
func (r *Registry) Authenticate(ctx context.Context, token string, event audit.Event) (*store.User, time.Time, error) {
	claims, issued, issuerID, err := r.verify(ctx, token)
	if err != nil {
		return nil, time.Time{}, err
	}
	rules, err := r.Store.WorkloadRules(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	for i := range rules {
		if rules[i].IssuerID == issuerID && Matches(rules[i].Claims, claims) {
			user, err := r.userOfRule(ctx, &rules[i])
			return user, issued, err
		}
	}
	event.Name, event.Reason, event.Detail = audit.WorkloadRefused, "no_workload_rule", fmt.Sprintf("%s: sub %v", issuerID, claims["sub"])
	r.Audit.Record(ctx, event)
	return nil, time.Time{}, errs.New(errs.Denied,
		"No workload rule matches this token of %s (sub %v). Ask an admin to add a rule for its claims.", issuerID, claims["sub"])
}

// userOfRule returns the user that a rule stands for.
func (r *Registry) userOfRule(ctx context.Context, rule *store.WorkloadRule) (*store.User, error) {
	if err := r.Store.RecordUse(ctx, store.WorkloadRuleUseID(rule.ID), r.Now()); err != nil {
		return nil, err
	}
	return r.signIn(ctx, ConnectorID, connectors.Identity{
		Subject: rule.ID, Username: rule.ID, Name: rule.Description, Groups: rule.GroupNames,
	})
}

// ServiceUser returns the user of a client that uses the client credentials grant.
func (r *Registry) ServiceUser(ctx context.Context, client *clients.Client) (*store.User, error) {
	return r.signIn(ctx, ServiceConnectorID, connectors.Identity{
		Subject: client.ID, Username: client.ID, Name: client.Name, Groups: client.Groups,
	})
}

func (r *Registry) signIn(ctx context.Context, kind string, id connectors.Identity) (*store.User, error) {
	user, created, err := r.Store.SignInUser(ctx, store.ResolvedIdentity{ConnectorID: kind, KubeName: kind + ":" + id.Username, Identity: id}, r.Now())
	if err != nil {
		return nil, err
	}
	if created {
		r.Audit.Record(ctx, audit.Event{Name: audit.UserCreated, UserID: user.ID, UserName: user.KubeName, ConnectorID: kind})
	}
	if user.Disabled {
		return nil, errs.New(errs.Denied, "The account %s is disabled. Ask an admin to enable it.", user.KubeName)
	}
	return user, nil
}

// verify checks signature, issuer, audience and time, and returns the claims.
func (r *Registry) verify(ctx context.Context, token string) (claims map[string]any, issued time.Time, issuerID string, err error) { //nolint:revive // concerns this token only
	url, err := unverifiedIssuer(token)
	if err != nil {
		return nil, time.Time{}, "", errUntrustedToken(err)
	}
	issuer, err := r.Store.TrustedIssuerByURL(ctx, url)
	if errs.Is(err, errs.NotFound) {
		return nil, time.Time{}, "", errUntrustedToken(err)
	}
	if err != nil {
		return nil, time.Time{}, "", err
	}
	check, err := r.verifierFor(ctx, issuer)
	if err != nil {
		return nil, time.Time{}, "", errs.Wrap(errs.Unavailable, err, "The keys of the trusted issuer %s can't be fetched. Try again in a minute.", issuer.ID)
	}
	parsed, err := check.Verify(ctx, token)
	if err != nil {
		return nil, time.Time{}, "", errUntrustedToken(err)
	}
	if err := parsed.Claims(&claims); err != nil {
		return nil, time.Time{}, "", errUntrustedToken(err)
	}
	return claims, parsed.IssuedAt, issuer.ID, nil
}

// unverifiedIssuer reads the "iss" claim of a token. It verifies nothing.
func unverifiedIssuer(token string) (string, error) {
	parts := strings.Split(token, ".")
	const three = 3
	if len(token) > maxTokenBytes || len(parts) != three {
		return "", errors.New("not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("not a JWT")
	}
	var says struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &says); err != nil || says.Issuer == "" {
		return "", errors.New("the token has no iss claim")
	}
	return says.Issuer, nil
}

func (r *Registry) verifierFor(ctx context.Context, issuer *store.TrustedIssuer) (*oidc.IDTokenVerifier, error) {
	r.mu.Lock()
	known, ok := r.verifiers[issuer.ID]
	r.mu.Unlock()
	if ok && known.issuer == *issuer && r.Now().Before(known.expiry) {
		return known.tokens, nil
	}
	made, err, _ := r.flights.Do(issuer.ID, func() (any, error) {
		check, err := r.newVerifier(context.WithoutCancel(ctx), issuer)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.verifiers == nil {
			r.verifiers = map[string]verifier{}
		}
		r.verifiers[issuer.ID] = verifier{issuer: *issuer, tokens: check, expiry: r.Now().Add(verifierLife)}
		return check, nil
	})
	if err != nil {
		return nil, err
	}
	check, isVerifier := made.(*oidc.IDTokenVerifier)
	if !isVerifier {
		return nil, errors.New("singleflight returned an unexpected type") // this function returns no other type
	}
	return check, nil
}

func (r *Registry) newVerifier(ctx context.Context, issuer *store.TrustedIssuer) (*oidc.IDTokenVerifier, error) {
	cfg := &oidc.Config{
		ClientID: issuer.Audience, Now: r.Now,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.PS256, oidc.EdDSA},
	}
	if issuer.KeySet != "" {
		set, _, err := jwks.Parse([]byte(issuer.KeySet))
		if err != nil {
			return nil, fmt.Errorf("reading keys of %s: %w", issuer.ID, err)
		}
		static := &oidc.StaticKeySet{}
		for _, key := range set.Keys {
			static.PublicKeys = append(static.PublicKeys, key.Key)
		}
		return oidc.NewVerifier(issuer.URL, static, cfg), nil
	}
	client, err := httpClient(issuer.CA)
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer.URL)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", issuer.URL, err)
	}
	var metadata struct {
		KeysURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil || metadata.KeysURI == "" {
		return nil, fmt.Errorf("the discovery document of %s names no jwks_uri: %w", issuer.URL, err)
	}
	keys := &jwks.Remote{Now: r.Now, Fetch: func(ctx context.Context) ([]byte, error) { return fetchKeys(ctx, client, metadata.KeysURI) }}
	return oidc.NewVerifier(issuer.URL, keys, cfg), nil
}

func fetchKeys(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	answer, err := rest.Ask(ctx, client, rest.Request{Method: http.MethodGet, URL: address, FollowRedirects: true})
	if err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("reading the issuer's keys: %s answered %d", address, answer.Status)
	}
	return answer.Body(), nil
}

func httpClient(ca string) (*http.Client, error) {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("http.DefaultTransport is not an *http.Transport")
	}
	transport := base.Clone()
	if ca != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the issuer's CA holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return &http.Client{Transport: transport, Timeout: fetchTimeout}, nil
}

// Matches reports whether every claim of a rule has exactly one of the rule's values. A list matches if one of its
// elements does. A rule without claims matches nothing.
func Matches(rule store.ClaimRules, claims map[string]any) bool {
	for name, values := range rule {
		if !slices.ContainsFunc(claimValues(claims[name]), func(text string) bool { return slices.Contains(values, text) }) {
			return false
		}
	}
	return len(rule) > 0
}

// claimValues returns a claim's value, or its elements, as strings.
func claimValues(claim any) []string {
	switch value := claim.(type) {
	case string:
		return []string{value}
	case bool:
		return []string{strconv.FormatBool(value)}
	case float64:
		return []string{strconv.FormatFloat(value, 'f', -1, 64)}
	case []any:
		var list []string
		for _, element := range value {
			if text, ok := element.(string); ok {
				list = append(list, text)
			}
		}
		return list
	}
	return nil
}
