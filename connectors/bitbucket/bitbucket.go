// Package bitbucket is the connector for Bitbucket Cloud, through Dex's
// connector.
package bitbucket

import (
	"context"

	dexbitbucket "github.com/dexidp/dex/connector/bitbucketcloud"

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
	// Teams are the workspaces whose members may sign in.
	Teams []string `json:"teams" yaml:"teams"`
	// Permissions adds the person's permission to workspace names.
	Permissions bool `json:"permissions" yaml:"permissions"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "bitbucket", Icon: "code", Label: "Bitbucket Cloud", About: "Workspaces of bitbucket.org.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In Bitbucket open the settings of a workspace, OAuth consumers, and press Add consumer.", Link: "https://bitbucket.org/account/settings/"},
			{Text: "Paste this, tick This is a private consumer, and tick Account: Read and Email.", Copy: []connectors.Copy{{Label: "Callback URL", Value: connectors.CopyCallback}}},
			{Text: "Save, open the consumer, and copy the Key and the Secret."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Key", Kind: form.Text, Required: true, Section: "OAuth consumer"},
			{Key: "clientSecret", Label: "Secret", Kind: form.Secret, Required: true},
			{Key: "teams", Label: "Workspaces", Help: "Members of these workspaces can sign in, one per line.", Kind: form.List, Required: true, Section: "Access", Placeholder: "acme"},
			{Key: "permissions", Label: "Add permissions to group names", Help: "acme becomes acme:member as well.", Kind: form.Bool, Advanced: true},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "Copy the Key from the OAuth consumer"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the Secret from the OAuth consumer"),
		connectors.NoneOf("teams", c.Teams, "Without a workspace, every Bitbucket account could sign in. Add one"),
	)
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	return dexadapter.Open(ctx, &dexbitbucket.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL, Teams: c.Teams, GetWorkspacePermissions: c.Permissions,
	}, env, dexadapter.Options{Profile: "/2.0/user", ID: "uuid"})
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, "https://bitbucket.org", "", probe.OAuthClient{
		TokenURL: "https://bitbucket.org/site/oauth2/access_token", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Key", SecretLabel: "Secret",
	})
}
