// Package google is the connector for Google accounts of Workspace domains, with
// OpenID Connect through package codeflow, and with groups from the Admin SDK. It
// is not Dex's connector, which adds ten megabytes of Google's libraries.
package google

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/codeflow"
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
	// ServiceAccount is the JSON key of a service account that reads groups in the name
	// of AdminEmail. Without one people have no groups.
	ServiceAccount secret.Value `json:"serviceAccount" yaml:"serviceAccount"`
	AdminEmail     string       `json:"adminEmail" yaml:"adminEmail"`
	// Groups are the addresses of those whose members may sign in. None means everybody
	// of the domains.
	Groups []string `json:"groups" yaml:"groups"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "google", Icon: "office", Label: "Google", About: "Accounts of Google Workspace domains. With a service account also their groups.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In Google Cloud open APIs & Services, Credentials, Create credentials, OAuth client ID (in the newer console: Clients, Create client), of the type Web application.", Link: "https://console.cloud.google.com/apis/credentials"},
			{Text: "Paste this.", Copy: []connectors.Copy{{Label: "Authorized redirect URIs", Value: connectors.CopyCallback}}},
			{Text: "Copy the Client ID and the Client secret."},
			{Text: "For groups: in a project with the Admin SDK API make a service account and a JSON key, and in the Admin console under domain-wide delegation allow its client ID the scope " + directoryScope + ".", Link: "https://admin.google.com/ac/owl/domainwidedelegation"},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "OAuth client", Placeholder: "….apps.googleusercontent.com"},
			{Key: "clientSecret", Label: "Client secret", Kind: form.Secret, Required: true},
			{Key: "hostedDomains", Label: "Hosted domains", Help: "Accounts of these Workspace domains can sign in, one per line.", Kind: form.List, Required: true, Section: "Access", Placeholder: "example.com"},
			{Key: "groups", Label: "Allowed groups", Help: "Addresses of groups whose members may sign in, one per line. Leave empty for everybody of the domains.", Kind: form.List, Placeholder: "platform@example.com"},
			{Key: "serviceAccount", Label: "Service account key", Help: "The JSON file, whole. Leave empty for no groups.", Kind: form.Secret, Section: "Groups"},
			{Key: "adminEmail", Label: "Admin’s address", Help: "The service account reads groups in this admin’s name.", Kind: form.Text, Placeholder: "admin@example.com"},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	faults := connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "Copy it from Google Cloud"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy it from Google Cloud"),
		connectors.NoneOf("hostedDomains", c.HostedDomains, "Without a domain, every Google account could sign in. Add one"),
	)
	for i, domain := range c.HostedDomains {
		if !strings.Contains(domain, ".") || strings.ContainsAny(domain, "/:@* ") {
			faults = append(faults, connectors.Problem{Field: fmt.Sprintf("hostedDomains[%d]", i), Message: fmt.Sprintf("must be a domain such as example.com, not %q", domain)})
		}
	}
	return append(faults, c.validateGroups()...)
}

func (c *Config) validateGroups() []connectors.Problem {
	if c.ServiceAccount.Empty() {
		if len(c.Groups) > 0 {
			return []connectors.Problem{{Field: "groups", Message: "must be empty without a service account, because Google sends no groups without one. Add its key, or remove the allowed groups"}}
		}
		return nil
	}
	faults := connectors.Faults(connectors.Missing("adminEmail", c.AdminEmail, "Enter the address of an admin: the service account reads groups in their name"))
	if _, err := c.account(); err != nil {
		faults = append(faults, connectors.Problem{Field: "serviceAccount", Message: err.Error()})
	}
	return faults
}

// Open reads Google's discovery document and returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	d, err := c.directory(env) //nolint:contextcheck // it outlives this call
	if err != nil {
		return nil, err
	}
	return codeflow.Open(ctx, codeflow.Config{
		Issuer: issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: []string{"profile", "email"},
		// Google gives a refresh token for offline access, and only with consent.
		AuthParams: map[string]string{"access_type": "offline", "prompt": "consent"},
		Claims:     codeflow.Mapping{ID: "sub", Username: "email", Name: "name", Email: "email", EmailVerified: "email_verified"},
		Admit: func(ctx context.Context, id connectors.Identity, said claims.Set) (connectors.Identity, error) {
			if err := c.admit(said); err != nil || d == nil {
				return id, err
			}
			return c.addGroups(ctx, d, id)
		},
	}, env)
}

// addGroups reads the groups of an admitted account.
func (c *Config) addGroups(ctx context.Context, d *directory, id connectors.Identity) (connectors.Identity, error) {
	groups, err := d.groups(ctx, id.Subject)
	if err != nil {
		return connectors.Identity{}, err
	}
	allowed := func(name string) bool { return slices.Contains(c.Groups, name) }
	if len(c.Groups) > 0 && !slices.ContainsFunc(groups, allowed) {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The account is in none of the allowed groups.", "Ask an admin to be added to one of them.")
	}
	id.Groups = groups
	return id, nil
}

// admit lets accounts of the hosted domains in. The claim hd says the domain. The
// address does not: anybody can open an account at Google with an address of
// another domain.
func (c *Config) admit(said claims.Set) error {
	domain := said.Text(domainClaim)
	if domain != "" && slices.ContainsFunc(c.HostedDomains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return nil
	}
	return connectors.NewError(connectors.OutcomeDenied, nil, "The account is of none of the hosted domains.", "Sign in with an account of one of them.")
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	findings := probe.OpenID(ctx, env, issuer, "", probe.OAuthClient{ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client secret"})
	d, err := c.directory(env) //nolint:contextcheck // it outlives this call
	if d == nil && err == nil {
		return findings
	}
	run := &probe.Run{Env: env}
	run.Step(ctx, "Read the admin’s groups", func(ctx context.Context) (string, error) {
		if err != nil {
			return "", err
		}
		groups, err := d.groups(ctx, c.AdminEmail)
		return fmt.Sprintf("%d groups", len(groups)), err
	})
	return append(findings, run.Findings()...)
}
