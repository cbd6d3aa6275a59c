// Package oidc signs people in with any OpenID Connect provider, through Dex's
// connector.
package oidc

import (
	"context"
	"crypto/x509"
	"errors"
	"net/url"

	dexoidc "github.com/dexidp/dex/connector/oidc"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// Issuer is the provider's address, exactly as it is in its tokens.
	Issuer       string       `json:"issuer" yaml:"issuer"`
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// SecretEnds is the day on which the client secret expires, for a reminder.
	SecretEnds string `json:"secretEnds" yaml:"secretEnds"`
	// Scopes besides openid. Default "profile", "email", "offline_access".
	Scopes []string `json:"scopes" yaml:"scopes"`
	// CA is the PEM of the authorities that signed the provider's certificate.
	CA string `json:"ca" yaml:"ca"`
	// GroupsClaim holds the groups. Default "groups".
	GroupsClaim string `json:"groupsClaim" yaml:"groupsClaim"`
	// UsernameClaim holds the login name. Default "preferred_username".
	UsernameClaim string `json:"usernameClaim" yaml:"usernameClaim"`
	// AllowedGroups, when set, are who may sign in.
	AllowedGroups []string `json:"allowedGroups" yaml:"allowedGroups"`
	// IDClaim, NameClaim and EmailClaim default to "sub", "name" and "email".
	IDClaim    string `json:"idClaim" yaml:"idClaim"`
	NameClaim  string `json:"nameClaim" yaml:"nameClaim"`
	EmailClaim string `json:"emailClaim" yaml:"emailClaim"`
	// TrustEmail treats every address as verified.
	TrustEmail bool `json:"trustEmail" yaml:"trustEmail"`
	// ACRValues and Prompt are passed to the provider.
	ACRValues []string `json:"acrValues" yaml:"acrValues"`
	Prompt    string   `json:"prompt" yaml:"prompt"`
	// UserInfo reads more claims from the provider's userinfo endpoint.
	UserInfo bool `json:"userInfo" yaml:"userInfo"`
}

// Validate returns every fault.
func (c *Config) Validate() []connectors.Problem {
	var problems []connectors.Problem
	add := func(field, message string) {
		problems = append(problems, connectors.Problem{Field: field, Message: message})
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Hostname() != "127.0.0.1") || u.RawQuery != "" || u.Fragment != "" {
		add("issuer", "want an https address without query, such as https://idp.example.com")
	}
	if c.ClientID == "" {
		add("clientID", "is missing: copy it from the provider")
	}
	if c.ClientSecret.Empty() {
		add("clientSecret", "is missing: copy it from the provider")
	}
	if fault := connectors.Date("secretEnds", c.SecretEnds); fault != nil {
		add(fault.Field, fault.Message)
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		add("ca", "holds no certificate in PEM form")
	}
	return problems
}

// Open reads the provider's discovery document and returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, errors.New(problems[0].Field + " " + problems[0].Message)
	}
	cfg := &dexoidc.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL,
		Scopes: c.Scopes, GetUserInfo: c.UserInfo, AllowedGroups: c.AllowedGroups,
		// Groups are safe here, because every refresh asks the provider again.
		InsecureEnableGroups: true, OverrideClaimMapping: true, PKCEChallenge: "S256",
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"profile", "email", "offline_access"}
	}
	if c.CA != "" {
		cfg.RootCAs = []string{c.CA}
	}
	cfg.ClaimMapping.GroupsKey = c.GroupsClaim
	cfg.ClaimMapping.PreferredUsernameKey = c.UsernameClaim
	cfg.ClaimMapping.EmailKey = c.EmailClaim
	cfg.UserIDKey, cfg.UserNameKey = c.IDClaim, c.NameClaim
	cfg.InsecureSkipEmailVerified, cfg.AcrValues = c.TrustEmail, c.ACRValues
	if c.Prompt != "" {
		cfg.PromptType = &c.Prompt
	}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{CA: c.CA})
}
