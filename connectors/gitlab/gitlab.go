// Package gitlab is the connector for GitLab, through Dex's connector.
package gitlab

import (
	"cmp"
	"context"
	"strings"

	dexgitlab "github.com/dexidp/dex/connector/gitlab"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// BaseURL is GitLab's address. Default "https://gitlab.com".
	BaseURL      string       `json:"baseURL" yaml:"baseURL"`
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// Groups, by full path, are who may sign in. Empty means everybody there.
	Groups []string `json:"groups" yaml:"groups"`
	// InheritedGroups also counts groups that a person is in through a parent.
	InheritedGroups bool `json:"inheritedGroups" yaml:"inheritedGroups"`
	// RoleSuffix adds ":developer" and the like to group names.
	RoleSuffix bool `json:"roleSuffix" yaml:"roleSuffix"`
	// CA is the PEM of the authorities that signed GitLab's certificate.
	CA string `json:"ca" yaml:"ca"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "gitlab", Icon: "code", Label: "GitLab", About: "Groups of gitlab.com or your own GitLab.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In GitLab open the settings of a group, of yourself, or the Admin area, then Applications, and press Add new application.", Link: "https://gitlab.com/-/user_settings/applications"},
			{Text: "Paste this, leave Confidential ticked, and tick the scopes read_user and openid; for inherited groups also read_api.", Copy: []connectors.Copy{{Label: "Redirect URI", Value: connectors.CopyCallback}}},
			{Text: "Save, and copy the Application ID and the Secret."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "baseURL", Label: "GitLab URL", Help: "Leave empty for gitlab.com.", Kind: form.Text, Section: "Application", Placeholder: "https://gitlab.com", Destination: true},
			{Key: "clientID", Label: "Application ID", Kind: form.Text, Required: true},
			{Key: "clientSecret", Label: "Secret", Kind: form.Secret, Required: true},
			{Key: "groups", Label: "Allowed groups", Help: "By full path, one per line. Leave empty for everybody at this GitLab.", Kind: form.List, Section: "Access", Placeholder: "acme/platform"},
			{Key: "inheritedGroups", Label: "Count inherited membership", Help: "Needs the scope read_api.", Kind: form.Bool, Advanced: true},
			{Key: "roleSuffix", Label: "Add the role to group names", Help: "acme/platform becomes acme/platform:developer as well.", Kind: form.Bool, Advanced: true},
			{Key: "ca", Label: "CA certificate", Help: "PEM, when GitLab’s certificate is signed by your own authority.", Kind: form.PEM, Advanced: true},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("clientID", c.ClientID, "Copy the Application ID from GitLab"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the Secret from GitLab"),
		connectors.Address("baseURL", c.BaseURL, "https://gitlab.example.com"),
		connectors.Certificate("ca", c.CA),
	)
}

func (c *Config) site() string {
	return strings.TrimSuffix(cmp.Or(c.BaseURL, "https://gitlab.com"), "/")
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	cfg := &dexgitlab.Config{
		BaseURL: c.site(), ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL,
		Groups: c.Groups, InheritedGroups: c.InheritedGroups, GetGroupsPermission: c.RoleSuffix,
	}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{CA: c.CA, Profile: "/api/v4/user", ID: "id", Admit: admit})
}

// admit calls the address verified if GitLab has confirmed it.
func admit(_ context.Context, id connectors.Identity, said claims.Set) (connectors.Identity, error) {
	id.EmailVerified = said.Text("confirmed_at") != ""
	return id, nil
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, c.site(), c.CA, probe.OAuthClient{
		TokenURL: c.site() + "/oauth/token", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Application ID", SecretLabel: "Secret",
	})
}
