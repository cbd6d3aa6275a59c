// Package crowd is the connector for the names and passwords of Atlassian Crowd
// (and of Jira, which speaks the same REST interface). It is not Dex's connector,
// which lets switched-off accounts renew, takes a refusal for an outage, and writes
// user names into addresses unescaped.
package crowd

import (
	"context"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// BaseURL is Crowd's address with its context path.
	BaseURL string `json:"baseURL" yaml:"baseURL"`
	// Application and Password are those of the application in Crowd.
	Application string       `json:"application" yaml:"application"`
	Password    secret.Value `json:"password" yaml:"password"`
	// Groups are those that are handed on, and who is in none may not sign in. None
	// means all.
	Groups         []string `json:"groups" yaml:"groups"`
	UsernamePrompt string   `json:"usernamePrompt" yaml:"usernamePrompt"`
	// ProviderVerifiesEmail treats the addresses as verified.
	ProviderVerifiesEmail bool `json:"providerVerifiesEmail" yaml:"providerVerifiesEmail"`
	// CA is the PEM of the authorities that signed Crowd's certificate.
	CA string `json:"ca" yaml:"ca"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "crowd", Icon: "people", Label: "Atlassian Crowd", About: "Names, passwords and groups of Crowd, or of Jira’s user server.", Can: []string{"groups", "refresh", "look up"},
		Steps: []connectors.Step{
			{Text: "In Crowd open Applications, Add application, of the type Generic application, and give it a long password."},
			{Text: "Under Remote addresses add the address that this server’s requests come from. Its home page, if Crowd asks:", Copy: []connectors.Copy{{Label: "URL", Value: connectors.CopyHome}}},
			{Text: "Choose the directories whose people may sign in."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "baseURL", Label: "Crowd URL", Help: "With the context path, when there is one.", Kind: form.Text, Required: true, Section: "Crowd", Placeholder: "https://crowd.example.com/crowd", Destination: true},
			{Key: "application", Label: "Application name", Kind: form.Text, Required: true, Destination: true},
			{Key: "password", Label: "Application password", Kind: form.Secret, Required: true},
			{Key: "providerVerifiesEmail", Label: "This provider verifies mail addresses", Help: "Crowd does not say which addresses are verified. Switch it on if users can’t change their address themselves.", Kind: form.Bool, Advanced: true, Danger: "Access rules for domains trust these addresses."},
			{Key: "ca", Label: "CA certificate", Kind: form.PEM, Advanced: true},
			{Key: "groups", Label: "Groups", Help: "One per line. Only these are handed on, and who is in none of them may not sign in. Leave empty for all.", Kind: form.List, Section: "Access"},
			{Key: "usernamePrompt", Label: "Label of the name", Kind: form.Text, Advanced: true, Placeholder: "User name"},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("baseURL", c.BaseURL, "Enter Crowd’s address"),
		connectors.Address("baseURL", c.BaseURL, "https://crowd.example.com/crowd"),
		connectors.Missing("application", c.Application, "Enter the name of the application in Crowd"),
		connectors.Missing("password", c.Password.Reveal(), "Enter the password of the application, not of a user"),
		connectors.Certificate("ca", c.CA),
	)
}

// Open returns the connector. It asks nothing yet.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	return &connector{cfg: *c, client: probe.Client(env, c.CA)}, nil
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	const step = "Sign in as the application"
	if !run.Site(ctx, c.BaseURL, c.CA) {
		run.Skip(step)
		return run.Findings()
	}
	run.Step(ctx, step, func(ctx context.Context) (string, error) {
		asked := &connector{cfg: *c, client: probe.Client(env, c.CA)}
		return "accepted", asked.tryApplication(ctx)
	})
	return run.Findings()
}
