// Package oauth is the connector for any OAuth 2.0 provider that has an address
// for reading who signed in. It is a set of settings for package codeflow. It is
// not Dex's connector, which neither asks again later nor protects the code (RFC
// 7636), and reads long numbers wrong.
package oauth

import (
	"cmp"
	"context"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/codeflow"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	AuthorizationURL string       `json:"authorizationURL" yaml:"authorizationURL"`
	TokenURL         string       `json:"tokenURL" yaml:"tokenURL"`
	UserInfoURL      string       `json:"userInfoURL" yaml:"userInfoURL"`
	ClientID         string       `json:"clientID" yaml:"clientID"`
	ClientSecret     secret.Value `json:"clientSecret" yaml:"clientSecret"`
	Scopes           []string     `json:"scopes" yaml:"scopes"`
	// WithoutPKCE is for providers that refuse a code challenge.
	WithoutPKCE bool `json:"withoutPKCE" yaml:"withoutPKCE"`
	// The keys of the answer; a dot leads into an object. They default to "id",
	// "preferred_username", "user_name", "email", "email_verified" and "groups".
	IDKey            string `json:"idKey" yaml:"idKey"`
	UsernameKey      string `json:"usernameKey" yaml:"usernameKey"`
	NameKey          string `json:"nameKey" yaml:"nameKey"`
	EmailKey         string `json:"emailKey" yaml:"emailKey"`
	EmailVerifiedKey string `json:"emailVerifiedKey" yaml:"emailVerifiedKey"`
	GroupsKey        string `json:"groupsKey" yaml:"groupsKey"`
	// CA is the PEM of the authorities that signed the provider's certificate.
	CA string `json:"ca" yaml:"ca"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "oauth", Icon: "key", Label: "OAuth 2.0", About: "A provider that speaks OAuth 2.0 and not OpenID Connect.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "At the provider register an application with the authorization code flow."},
			{Text: "Paste this.", Copy: []connectors.Copy{{Label: "Redirect URI", Value: connectors.CopyCallback}}},
			{Text: "Let it give refresh tokens, if it can (often a scope such as offline_access): without one it can’t be asked again when its token has ended, and people then stay as they were until their session ends."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: append(fields(), keyFields()...),
	}
}

func fields() []connectors.Field {
	return []connectors.Field{
		{Key: "authorizationURL", Label: "Authorization URL", Kind: form.Text, Required: true, Section: "Provider", Placeholder: "https://provider.example.com/authorize", Destination: true},
		{Key: "tokenURL", Label: "Token URL", Kind: form.Text, Required: true, Placeholder: "https://provider.example.com/token", Destination: true},
		{Key: "userInfoURL", Label: "User info URL", Help: "Answers with a JSON object about the person.", Kind: form.Text, Required: true, Placeholder: "https://provider.example.com/userinfo", Destination: true},
		{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "Application"},
		{Key: "clientSecret", Label: "Client secret", Kind: form.Secret, Required: true},
		{Key: "scopes", Label: "Scopes", Help: "One per line.", Kind: form.List},
		{Key: "withoutPKCE", Label: "Leave PKCE out", Help: "Only for a provider that refuses it.", Kind: form.Bool, Advanced: true},
	}
}

func keyFields() []connectors.Field {
	return []connectors.Field{
		{Key: "idKey", Label: "Key of the ID", Help: "One that never changes; user.id for an id inside of user.", Kind: form.Text, Section: "Keys of the answer", Placeholder: "id"},
		{Key: "usernameKey", Label: "Key of the user name", Kind: form.Text, Placeholder: "preferred_username"},
		{Key: "nameKey", Label: "Key of the display name", Kind: form.Text, Advanced: true, Placeholder: "user_name"},
		{Key: "emailKey", Label: "Key of the mail address", Kind: form.Text, Advanced: true, Placeholder: "email"},
		{Key: "emailVerifiedKey", Label: "Key that says the address is verified", Kind: form.Text, Advanced: true, Placeholder: "email_verified"},
		{Key: "groupsKey", Label: "Key of the groups", Kind: form.Text, Placeholder: "groups"},
		{Key: "ca", Label: "CA certificate", Kind: form.PEM, Advanced: true},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("authorizationURL", c.AuthorizationURL, "Enter the address to which the browser is sent"),
		connectors.Missing("tokenURL", c.TokenURL, "Enter the address of the token endpoint"),
		connectors.Missing("userInfoURL", c.UserInfoURL, "Enter the address that returns the user’s data"),
		connectors.Address("authorizationURL", c.AuthorizationURL, "https://provider.example.com/authorize"),
		connectors.Address("tokenURL", c.TokenURL, "https://provider.example.com/token"),
		connectors.Address("userInfoURL", c.UserInfoURL, "https://provider.example.com/userinfo"),
		connectors.Missing("clientID", c.ClientID, "Copy it from the provider"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy it from the provider"),
		connectors.NoDisplayName("usernameKey", c.UsernameKey),
		connectors.Certificate("ca", c.CA),
	)
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	return codeflow.Open(ctx, codeflow.Config{
		AuthorizationURL: c.AuthorizationURL, TokenURL: c.TokenURL, UserInfoURL: c.UserInfoURL,
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes, WithoutPKCE: c.WithoutPKCE, CA: c.CA,
		Claims: codeflow.Mapping{
			ID: cmp.Or(c.IDKey, "id"), Username: cmp.Or(c.UsernameKey, "preferred_username"), Name: cmp.Or(c.NameKey, "user_name"),
			Email: cmp.Or(c.EmailKey, "email"), EmailVerified: cmp.Or(c.EmailVerifiedKey, "email_verified"), Groups: cmp.Or(c.GroupsKey, "groups"),
		},
	}, env)
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, c.TokenURL, c.CA, probe.OAuthClient{
		TokenURL: c.TokenURL, ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client secret",
	})
}
