// Package issuer creates ID tokens, opaque access tokens and authorization codes,
// and decides which claims each token has. Packages token and authorize decide
// whether a request gets one.
package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// The lifetimes that no setting changes.
const (
	// IDTokenLife is the lifetime of ID tokens for clients that are not clusters.
	IDTokenLife = 10 * time.Minute
	// AccessTokenLife is the lifetime of access tokens, which the provider's own endpoints accept.
	AccessTokenLife = 10 * time.Minute
	// codeLife is far below the ten minutes that OAuth 2.1 allows.
	codeLife = time.Minute
)

// Issuer creates tokens and codes.
type Issuer struct {
	// URL is the issuer identifier, without a trailing slash.
	URL string
	// Keys signs tokens.
	Keys *keys.Manager
	// Store stores codes.
	Store *store.Store
	// Now returns the current time.
	Now func() time.Time
}

// Claims are the claims of an ID token (OpenID Connect Core section 2).
type Claims struct {
	Issuer            string   `json:"iss"`
	Subject           string   `json:"sub"`
	Audience          string   `json:"aud"`
	Expiry            int64    `json:"exp"`
	IssuedAt          int64    `json:"iat"`
	AuthTime          int64    `json:"auth_time"`
	ID                string   `json:"jti"`
	AuthorizedParty   string   `json:"azp,omitempty"`
	Nonce             string   `json:"nonce,omitempty"`
	AMR               []string `json:"amr,omitempty"`
	SessionID         string   `json:"sid,omitempty"`
	DeviceID          string   `json:"device_id,omitempty"`
	Name              string   `json:"name,omitempty"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Email             string   `json:"email,omitempty"`
	EmailVerified     *bool    `json:"email_verified,omitempty"`
	Groups            []string `json:"groups,omitempty"`
}

// Subject is the user, session and device of a token.
type Subject struct {
	User          *store.User
	SignInID      string
	DeviceID      string
	AMR           []string
	Authenticated store.Instant
}

// IDTokenParams describes the token to create.
type IDTokenParams struct {
	Subject
	// Audience is the client or cluster of the token.
	Audience string
	// Cluster is set for a cluster's token.
	Cluster *store.Cluster
	// Requester is the client that asked for the token. It becomes "azp" if it differs from the audience.
	Requester string
	Scopes    []string
	Nonce     string
	// Algorithm is RS256 when empty.
	Algorithm string
	// Life overrides the usual lifetime of the token.
	Life time.Duration
}

// SignedToken is a signed token.
type SignedToken struct {
	Token   string
	ID      string
	Expires time.Time
}

// SignIDToken signs an ID token. A cluster's token has exactly the audience of the cluster and all claims that the
// cluster needs. Another client's token has the claims of its scopes.
func (i *Issuer) SignIDToken(t IDTokenParams) (SignedToken, error) {
	claims := i.IDTokenClaims(t)
	payload, err := json.Marshal(claims)
	if err != nil {
		return SignedToken{}, fmt.Errorf("encoding claims: %w", err)
	}
	if t.Cluster != nil {
		t.Algorithm = t.Cluster.Algorithm
	}
	token, err := i.Keys.Sign(algorithmOrDefault(t.Algorithm), payload)
	if err != nil {
		return SignedToken{}, err
	}
	return SignedToken{Token: token, ID: claims.ID, Expires: time.Unix(claims.Expiry, 0).UTC()}, nil
}

// IDTokenClaims returns the claims that SignIDToken would sign now.
func (i *Issuer) IDTokenClaims(t IDTokenParams) Claims {
	now, life := i.Now().UTC(), IDTokenLife
	if t.Cluster != nil {
		life = t.Cluster.TokenLife()
		t.Scopes = oauth.Scopes()
	}
	if t.Life != 0 {
		life = t.Life
	}
	claims := UserClaims(t.User, t.Scopes)
	if t.Cluster != nil {
		claims.PreferredUsername = t.User.KubeName
	}
	claims.Issuer, claims.Audience, claims.ID = i.URL, t.Audience, secret.ID("jti")
	claims.IssuedAt, claims.Expiry = now.Unix(), now.Add(life).Unix()
	claims.AuthTime = t.Authenticated.Time().Unix()
	claims.Nonce, claims.AMR = t.Nonce, t.AMR
	claims.SessionID, claims.DeviceID = t.SignInID, t.DeviceID
	if t.Requester != t.Audience {
		claims.AuthorizedParty = t.Requester
	}
	return claims
}

func algorithmOrDefault(name string) jose.SignatureAlgorithm {
	if name == "" {
		return keys.RS256
	}
	return jose.SignatureAlgorithm(name)
}

// UserClaims returns the claims of a user for these scopes. The subject is always there.
func UserClaims(u *store.User, scopes []string) Claims {
	c := Claims{Subject: u.ID}
	if slices.Contains(scopes, oauth.ScopeProfile) {
		c.Name, c.PreferredUsername = u.DisplayName, u.Login
	}
	if slices.Contains(scopes, oauth.ScopeEmail) && u.Email != "" {
		c.Email, c.EmailVerified = u.Email, new(u.EmailVerified)
	}
	if slices.Contains(scopes, oauth.ScopeGroups) {
		c.Groups = u.GroupNames
	}
	return c
}

// NewAccessToken returns a new opaque access token and its row.
func (i *Issuer) NewAccessToken(s Subject, clientID string, scopes []string) (string, store.AccessToken) {
	token := secret.Token().Reveal()
	return token, store.AccessToken{
		Hash: secret.Hash(token), UserID: s.User.ID, ClientID: clientID, DeviceID: s.DeviceID, SignInID: s.SignInID,
		Scopes: scopes, AMR: s.AMR, Authenticated: s.Authenticated, Expires: store.At(i.Now().Add(AccessTokenLife)),
	}
}

// IssueCode stores a code for a request and returns it.
func (i *Issuer) IssueCode(ctx context.Context, req *flow.Request, s Subject) (string, error) {
	code := secret.Token().Reveal()
	row := &store.Code{
		Hash: secret.Hash(code), ClientID: req.ClientID, UserID: s.User.ID, SignInID: s.SignInID,
		RedirectURI: req.RedirectURI, Scopes: req.Scopes, Nonce: req.Nonce, Challenge: req.Challenge, Host: req.ClientHost,
		AMR: s.AMR, Authenticated: s.Authenticated, Expires: store.At(i.Now().Add(codeLife)),
	}
	if err := i.Store.CreateCode(ctx, row); err != nil {
		return "", err
	}
	return code, nil
}
