// Package google signs people in with Google, as an OpenID Connect provider. It
// does not use Dex's package, which adds ten megabytes of Google's libraries.
package google

import (
	"context"
	"fmt"
	"slices"
	"strings"

	dexoidc "github.com/dexidp/dex/connector/oidc"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

const (
	issuer = "https://accounts.google.com"
	// domainClaim says the Workspace domain of an account. Private accounts have none.
	domainClaim = "hd"
)

// Config is the settings of the connector.
type Config struct {
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// HostedDomains are the Workspace domains whose people may sign in.
	HostedDomains []string `json:"hostedDomains" yaml:"hostedDomains"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "google", Label: "Google", About: "People of Google Workspace domains, without groups: use rules for domains or people.", Can: []string{"refresh"},
		Steps: []connectors.Step{
			{Text: "In Google Cloud open APIs & Services, Credentials, Create credentials, OAuth client ID (in the newer console: Clients, Create client), of the type Web application.", Link: "https://console.cloud.google.com/apis/credentials"},
			{Text: "Paste this.", Copy: []connectors.Copy{{Label: "Authorized redirect URIs", Value: connectors.CopyCallback}}},
			{Text: "Copy the Client ID and the Client secret."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "OAuth client", Placeholder: "….apps.googleusercontent.com"},
			{Key: "clientSecret", Label: "Client secret", Kind: form.Secret, Required: true},
			{Key: "hostedDomains", Label: "Hosted domains", Help: "Whose people may sign in, one a line.", Kind: form.List, Required: true, Section: "Who may sign in", Placeholder: "example.com"},
		},
	}
}

// Validate returns every fault.
func (c *Config) Validate() []connectors.Problem {
	faults := connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "copy it from Google Cloud"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "copy it from Google Cloud"),
		connectors.NoneOf("hostedDomains", c.HostedDomains, "without a domain everybody with a Google account could sign in"),
	)
	for i, domain := range c.HostedDomains {
		if !strings.Contains(domain, ".") || strings.ContainsAny(domain, "/:@* ") {
			faults = append(faults, connectors.Problem{Field: fmt.Sprintf("hostedDomains[%d]", i), Message: fmt.Sprintf("want a domain such as example.com, got %q", domain)})
		}
	}
	return faults
}

// Open reads Google's discovery document and returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	cfg := &dexoidc.Config{
		Issuer: issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL,
		Scopes: []string{"profile", "email"}, PKCEChallenge: "S256",
	}
	cfg.ClaimMutations.NewGroupFromClaims = []dexoidc.NewGroupFromClaims{{Prefix: domainClaim, Claims: []string{domainClaim}, Delimiter: ":"}}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{Admit: c.admit})
}

// admit lets in whose account is of a hosted domain. The claim says that, and not the
// address: anybody can open an account at Google with an address of another domain.
func (c *Config) admit(id connectors.Identity) (connectors.Identity, error) {
	groups := id.Groups
	id.Groups = nil
	for _, group := range groups {
		domain, said := strings.CutPrefix(group, domainClaim+":")
		if said && slices.ContainsFunc(c.HostedDomains, func(d string) bool { return strings.EqualFold(d, domain) }) {
			return id, nil
		}
	}
	return connectors.Identity{}, fmt.Errorf("the account is of none of the hosted domains: %w", connectors.ErrDenied)
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OpenID(ctx, env, issuer, "", probe.OAuthClient{ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client secret"})
}
