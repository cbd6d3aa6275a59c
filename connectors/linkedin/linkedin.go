// Package linkedin is the connector for LinkedIn. It is not Dex's connector: that
// needs scopes which LinkedIn gives to no new app.
package linkedin

import (
	"context"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/oauth"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "linkedin", Icon: "people", Label: "LinkedIn", About: "Anybody with a LinkedIn account and a verified address, without groups: use rules for people.", Can: []string{"refresh"},
		Steps: []connectors.Step{
			{Text: "At LinkedIn Developers create an app, and on its Products tab request Sign In with LinkedIn using OpenID Connect.", Link: "https://www.linkedin.com/developers/apps"},
			{Text: "On the Auth tab paste this, and copy the Client ID and the Client Secret.", Copy: []connectors.Copy{{Label: "Authorized redirect URL", Value: connectors.CopyCallback}}},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "App"},
			{Key: "clientSecret", Label: "Client Secret", Kind: form.Secret, Required: true},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "Copy the Client ID from the Auth tab"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the Client Secret from the Auth tab"),
	)
}

// provider is LinkedIn. It names no refresh tokens: people are asked about for as long
// as its token lives, which is 60 days. It refuses a code challenge.
func (c *Config) provider() *oauth.Config {
	return &oauth.Config{
		AuthorizationURL: "https://www.linkedin.com/oauth/v2/authorization", TokenURL: "https://www.linkedin.com/oauth/v2/accessToken",
		UserInfoURL: "https://api.linkedin.com/v2/userinfo", Scopes: []string{"openid", "profile", "email"}, WithoutPKCE: true,
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, IDKey: "sub", NameKey: "name",
	}
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	return c.provider().Open(ctx, env)
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return c.provider().Check(ctx, env)
}
