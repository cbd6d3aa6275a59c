// Package codeflow signs users in with the OAuth 2.0 authorization code flow (RFC
// 6749 section 4.1, PKCE by RFC 7636) and, where the provider has an issuer, with
// OpenID Connect Core 1.0. It is the engine of the connectors for such providers;
// each of them is a Config.
package codeflow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config describes a provider and this client of it.
type Config struct {
	// Issuer is the issuer of an OpenID provider. Its endpoints and keys are read
	// from its discovery document, and its ID tokens are verified. Without one, the
	// three URLs below say where the endpoints are.
	Issuer                                  string
	AuthorizationURL, TokenURL, UserInfoURL string

	ClientID     string
	ClientSecret secret.Value
	// Scopes are requested besides openid. None means profile, email, and
	// offline_access if an OpenID provider supports it.
	Scopes []string
	// AuthParams are added to the authorization request. Empty values are left out.
	AuthParams map[string]string
	// WithoutPKCE is for providers that refuse a code challenge.
	WithoutPKCE bool
	// AskUserInfo reads the userinfo endpoint even if the ID token says enough.
	AskUserInfo bool

	Claims Mapping
	// AllowedGroups, when set, are the groups whose members may sign in.
	AllowedGroups []string
	// Admit, when set, decides about each identity, at sign-in and at renewal, and
	// may change it.
	Admit func(ctx context.Context, id connectors.Identity, said claims.Set) (connectors.Identity, error)
	// CA is the PEM of the certificate authorities to trust besides the system's.
	CA string
}

// Mapping says which claims are used. Each is a path as claims.Set.Find reads it.
type Mapping struct {
	// ID never changes and is never given to another user.
	ID string
	// Username, Name, Email, EmailVerified and Groups may be empty: then they are
	// not read.
	Username, Name, Email, EmailVerified, Groups string
	// ProviderVerifiesEmail treats an address as verified if the provider does not
	// say whether it is.
	ProviderVerifiesEmail bool
	// TrustEmail treats every address as verified, whatever the provider says.
	TrustEmail bool
}

// Connector signs users in at one provider.
type Connector struct {
	cfg         Config
	oauth       oauth2.Config
	userInfoURL string
	client      *http.Client
	tokens      *verifier // nil without an issuer
	now         func() time.Time
}

var (
	_ connectors.Redirecter = (*Connector)(nil)
	_ connectors.Refresher  = (*Connector)(nil)
)

// Open reads the provider's discovery document, if it has an issuer, and returns
// the connector.
func Open(ctx context.Context, cfg Config, env connectors.Env) (*Connector, error) {
	c := &Connector{cfg: cfg, userInfoURL: cfg.UserInfoURL, client: probe.Client(env, cfg.CA), now: env.Now}
	c.oauth = oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), RedirectURL: env.CallbackURL, Scopes: cfg.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: cfg.AuthorizationURL, TokenURL: cfg.TokenURL},
	}
	if cfg.Issuer == "" {
		return c, nil
	}
	d, err := discover(ctx, c.client, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	c.oauth.Endpoint = oauth2.Endpoint{AuthURL: d.AuthorizationEndpoint, TokenURL: d.TokenEndpoint, AuthStyle: d.authStyle()}
	c.oauth.Scopes = d.scopes(cfg.Scopes)
	c.userInfoURL = d.UserInfoEndpoint
	c.tokens = newVerifier(c, d)
	return c, nil
}

// kept is the state of a sign-in while the browser is at the provider.
type kept struct {
	Verifier string `json:"verifier,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
}

// AuthURL implements connectors.Redirecter.
func (c *Connector) AuthURL(_ context.Context, _, state string) (address string, keep []byte, err error) {
	var k kept
	var options []oauth2.AuthCodeOption
	if !c.cfg.WithoutPKCE {
		k.Verifier = oauth2.GenerateVerifier()
		options = append(options, oauth2.S256ChallengeOption(k.Verifier))
	}
	if c.tokens != nil {
		k.Nonce = oauth2.GenerateVerifier()
		options = append(options, oauth2.SetAuthURLParam("nonce", k.Nonce))
	}
	for name, value := range c.cfg.AuthParams {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	keep, err = json.Marshal(k)
	return c.oauth.AuthCodeURL(state, options...), keep, err
}

// Callback implements connectors.Redirecter.
func (c *Connector) Callback(ctx context.Context, _ string, keep []byte, r *http.Request) (connectors.Identity, error) {
	q := r.URL.Query()
	if code := q.Get("error"); code != "" {
		return connectors.Identity{}, connectors.OAuthError(0, code, q.Get("error_description"))
	}
	var k kept
	if err := json.Unmarshal(keep, &k); err != nil {
		return connectors.Identity{}, fmt.Errorf("reading what the sign-in kept: %w", err)
	}
	var options []oauth2.AuthCodeOption
	if k.Verifier != "" {
		options = append(options, oauth2.VerifierOption(k.Verifier))
	}
	token, err := c.oauth.Exchange(c.outside(ctx), q.Get("code"), options...)
	if err != nil {
		return connectors.Identity{}, tokenError(err)
	}
	said, err := c.ask(ctx, token, k.Nonce)
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.identity(ctx, said, token)
}

// outside sets the HTTP client of the OAuth library.
func (c *Connector) outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.client)
}

// ask returns the claims of the ID token and the userinfo endpoint. It does not compare an empty nonce, because
// renewals have none.
func (c *Connector) ask(ctx context.Context, token *oauth2.Token, nonce string) (claims.Set, error) {
	if c.tokens == nil {
		return c.userInfo(ctx, token)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, "The provider sent no ID token.",
			"Check that the client at the provider is one for OpenID Connect, with the scope openid.")
	}
	said, err := c.tokens.verify(ctx, raw, nonce)
	if err != nil {
		return nil, err
	}
	if c.userInfoURL == "" || !c.cfg.AskUserInfo && c.username(said) != "" {
		return said, nil
	}
	more, err := c.userInfo(ctx, token)
	if err != nil {
		return nil, err
	}
	if more.Text("sub") != said.Text("sub") { // OpenID Connect Core section 5.3.2
		return nil, connectors.NewError(connectors.OutcomeDenied, nil, "The provider's userinfo endpoint answered about another account than the ID token.", "")
	}
	return merge(said, more), nil
}

// merge adds the claims of the userinfo endpoint to those of the ID token. The
// signed ones stay.
func merge(signed, more claims.Set) claims.Set {
	for name, value := range more {
		if _, there := signed[name]; !there {
			signed[name] = value
		}
	}
	return signed
}

// discovery holds the used fields of a discovery document (OpenID Connect Discovery 1.0 section 3).
type discovery struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	KeysURI               string   `json:"jwks_uri"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
	ScopesSupported       []string `json:"scopes_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
}

// discover reads and checks an issuer's discovery document.
func discover(ctx context.Context, client *http.Client, issuer string) (*discovery, error) {
	d := &discovery{}
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	if err := getJSON(ctx, client, address, d); err != nil {
		return nil, fmt.Errorf("reading the discovery document: %w", err)
	}
	if d.Issuer != issuer {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil,
			fmt.Sprintf("The provider's discovery document names the issuer %q, and this connector %q.", d.Issuer, issuer),
			"Set the issuer of the connector exactly as the provider names it, with or without the slash at the end.")
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": d.AuthorizationEndpoint, "token_endpoint": d.TokenEndpoint, "jwks_uri": d.KeysURI,
	} {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
			return nil, connectors.NewError(connectors.OutcomeMisconfigured, err, fmt.Sprintf("The provider's discovery document has no usable %s.", name),
				"Check that the issuer is that of an OpenID provider with the authorization code flow.")
		}
	}
	return d, nil
}

// authStyle says how the client authenticates. The default of the specification is
// HTTP Basic; trying both would use up the code.
func (d *discovery) authStyle() oauth2.AuthStyle {
	if len(d.AuthMethods) > 0 && !slices.Contains(d.AuthMethods, "client_secret_basic") && slices.Contains(d.AuthMethods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// scopes returns openid and the configured scopes.
func (d *discovery) scopes(configured []string) []string {
	if len(configured) == 0 {
		configured = []string{"profile", "email"}
		if len(d.ScopesSupported) == 0 || slices.Contains(d.ScopesSupported, "offline_access") {
			configured = append(configured, "offline_access")
		}
	}
	return append([]string{"openid"}, slices.DeleteFunc(slices.Clone(configured), func(s string) bool { return s == "openid" })...)
}
