// Package gitea is the connector for Gitea or Forgejo, through Dex's connector.
package gitea

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	dexgitea "github.com/dexidp/dex/connector/gitea"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// BaseURL is the server's address. Default "https://gitea.com".
	BaseURL      string       `json:"baseURL" yaml:"baseURL"`
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// Orgs are who may sign in. Empty means everybody there.
	Orgs []Org `json:"orgs" yaml:"orgs"`
	// CA is the PEM of the authorities that signed the server's certificate.
	CA string `json:"ca" yaml:"ca"`
}

// Org is an organization whose members may sign in.
type Org struct {
	Name  string   `json:"name" yaml:"name"`
	Teams []string `json:"teams" yaml:"teams"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "gitea", Icon: "code", Label: "Gitea or Forgejo", About: "Organizations and teams of a Gitea or Forgejo.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In Gitea open Settings, Applications, Manage OAuth2 Applications. For everybody: Site administration, Integrations, Applications."},
			{Text: "Paste this, leave Confidential client ticked, and create the application.", Copy: []connectors.Copy{{Label: "Redirect URIs", Value: connectors.CopyCallback}}},
			{Text: "Copy the Client ID and the Client Secret: the secret is shown once."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "baseURL", Label: "Gitea URL", Help: "Leave empty for gitea.com.", Kind: form.Text, Section: "Application", Placeholder: "https://git.example.com", Destination: true},
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true},
			{Key: "clientSecret", Label: "Client Secret", Kind: form.Secret, Required: true},
			{
				Key: "orgs", Label: "Organizations", Kind: form.Rows, Section: "Access", Help: "Members of one of these. Leave empty for everybody at this Gitea.",
				Fields: []connectors.Field{
					{Key: "name", Label: "Organization", Kind: form.Text, Placeholder: "acme"},
					{Key: "teams", Label: "Teams", Kind: form.List, Help: "One per line. Leave empty for every member."},
				},
			},
			{Key: "ca", Label: "CA certificate", Help: "PEM, when the certificate is signed by your own authority.", Kind: form.PEM, Advanced: true},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	problems := connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "Copy the Client ID from Gitea"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the Client Secret from Gitea"),
		connectors.Address("baseURL", c.BaseURL, "https://git.example.com"),
		connectors.Certificate("ca", c.CA),
	)
	for i, org := range c.Orgs {
		problems = append(problems, connectors.Faults(connectors.Missing(fmt.Sprintf("orgs[%d].name", i), org.Name, "Name the organization"))...)
	}
	return problems
}

func (c *Config) site() string {
	return strings.TrimSuffix(cmp.Or(c.BaseURL, "https://gitea.com"), "/")
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	cfg := &dexgitea.Config{
		BaseURL: c.site(), ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL, LoadAllGroups: len(c.Orgs) == 0,
	}
	for _, org := range c.Orgs {
		cfg.Orgs = append(cfg.Orgs, dexgitea.Org{Name: org.Name, Teams: org.Teams})
	}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{CA: c.CA, Profile: "/api/v1/user", ID: "id", Admit: admit})
}

// admit calls the address verified if the account is active, as Gitea's own ID tokens do.
func admit(_ context.Context, id connectors.Identity, said claims.Set) (connectors.Identity, error) {
	id.EmailVerified, _ = said.Bool("active")
	return id, nil
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, c.site(), c.CA, probe.OAuthClient{
		TokenURL: c.site() + "/login/oauth/access_token", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client Secret",
	})
}
