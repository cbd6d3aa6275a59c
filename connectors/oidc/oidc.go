// Package oidc is the connector for any provider of OpenID Connect Core 1.0. It is
// a set of settings for package codeflow. It is not Dex's connector: docs/adr/0014
// says why.
package oidc

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/codeflow"
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
	// TrustEmail treats every address as verified, also one that the provider calls
	// unverified.
	TrustEmail bool `json:"trustEmail" yaml:"trustEmail"`
	// ProviderVerifiesEmail treats an address as verified if the provider does not
	// say whether it is.
	ProviderVerifiesEmail bool `json:"providerVerifiesEmail" yaml:"providerVerifiesEmail"`
	// ACRValues and Prompt are sent in the authorization request, if set.
	ACRValues []string `json:"acrValues" yaml:"acrValues"`
	Prompt    string   `json:"prompt" yaml:"prompt"`
	// UserInfo reads more claims from the provider's userinfo endpoint.
	UserInfo bool `json:"userInfo" yaml:"userInfo"`
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	var problems []connectors.Problem
	add := func(field, message string) {
		problems = append(problems, connectors.Problem{Field: field, Message: message})
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Hostname() != "127.0.0.1") || u.RawQuery != "" || u.Fragment != "" {
		add("issuer", "must be an https address without a query. Enter it like https://idp.example.com")
	}
	if c.ClientID == "" {
		add("clientID", "must not be empty. Copy it from the provider")
	}
	if c.ClientSecret.Empty() {
		add("clientSecret", "must not be empty. Copy it from the provider")
	}
	if fault := connectors.Date("secretEnds", c.SecretEnds); fault != nil {
		add(fault.Field, fault.Message)
	}
	if fault := connectors.NoDisplayName("usernameClaim", c.UsernameClaim, "name"); fault != nil {
		add(fault.Field, fault.Message)
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		add("ca", "must be a certificate in PEM format. Paste it from the line BEGIN CERTIFICATE on")
	}
	return problems
}

// Open reads the provider's discovery document and returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, errors.New(problems[0].Field + " " + problems[0].Message)
	}
	return codeflow.Open(ctx, codeflow.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes, CA: c.CA,
		AuthParams:  map[string]string{"prompt": c.Prompt, "acr_values": strings.Join(c.ACRValues, " ")},
		AskUserInfo: c.UserInfo, AllowedGroups: c.AllowedGroups,
		Claims: codeflow.Mapping{
			ID: cmp.Or(c.IDClaim, "sub"), Username: cmp.Or(c.UsernameClaim, "preferred_username"), Name: cmp.Or(c.NameClaim, "name"),
			Email: cmp.Or(c.EmailClaim, "email"), EmailVerified: "email_verified", Groups: cmp.Or(c.GroupsClaim, "groups"),
			TrustEmail: c.TrustEmail, ProviderVerifiesEmail: c.ProviderVerifiesEmail,
		},
	}, env)
}
