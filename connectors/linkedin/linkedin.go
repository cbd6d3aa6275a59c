// Package linkedin signs people in with LinkedIn, through Dex's connector.
package linkedin

import (
	"context"

	dexlinkedin "github.com/dexidp/dex/connector/linkedin"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
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
		Name: "linkedin", Label: "LinkedIn", About: "Anybody with a LinkedIn account, without groups. Only for apps that have the scopes r_liteprofile and r_emailaddress: LinkedIn gives them to no new ones.", Can: []string{"refresh"},
		Steps: []connectors.Step{
			{Text: "At LinkedIn Developers create an app and open its Auth tab.", Link: "https://www.linkedin.com/developers/apps"},
			{Text: "Paste this, and copy the Client ID and the Client Secret.", Copy: []connectors.Copy{{Label: "Authorized redirect URL", Value: connectors.CopyCallback}}},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "App"},
			{Key: "clientSecret", Label: "Client Secret", Kind: form.Secret, Required: true},
		},
	}
}

// Validate returns every fault.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "copy the Client ID from the Auth tab"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "copy the Client Secret from the Auth tab"),
	)
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	cfg := &dexlinkedin.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{})
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, "https://www.linkedin.com", "", probe.OAuthClient{
		TokenURL: "https://www.linkedin.com/oauth/v2/accessToken", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client Secret",
	})
}
