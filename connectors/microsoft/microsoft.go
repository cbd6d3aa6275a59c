// Package microsoft is the connector for Microsoft Entra ID, through Dex's connector.
package microsoft

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	dexmicrosoft "github.com/dexidp/dex/connector/microsoft"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector. The names are Entra's own.
type Config struct {
	// Tenant is the Directory (tenant) ID.
	Tenant       string       `json:"tenant" yaml:"tenant"`
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// SecretEnds is the day on which the client secret expires, for a reminder.
	SecretEnds string `json:"secretEnds" yaml:"secretEnds"`
	// Groups are who may sign in. Empty means everybody in the tenant.
	Groups []string `json:"groups" yaml:"groups"`
	// GroupNameFormat is "name" (the default) or "id".
	GroupNameFormat    string `json:"groupNameFormat" yaml:"groupNameFormat"`
	OnlySecurityGroups bool   `json:"onlySecurityGroups" yaml:"onlySecurityGroups"`
	BatchGroupLookups  bool   `json:"batchGroupLookups" yaml:"batchGroupLookups"`
	EmailToLowercase   bool   `json:"emailToLowercase" yaml:"emailToLowercase"`
	// PreferredUsernameField is "email" (the user principal name, the default),
	// "mailNickname" or "onPremisesSamAccountName".
	PreferredUsernameField string `json:"preferredUsernameField" yaml:"preferredUsernameField"`
	DomainHint             string `json:"domainHint" yaml:"domainHint"`
	PromptType             string `json:"promptType" yaml:"promptType"`
	// APIURL and GraphURL are those of the cloud. Empty means the global one.
	APIURL   string `json:"apiURL" yaml:"apiURL"`
	GraphURL string `json:"graphURL" yaml:"graphURL"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "microsoft", Icon: "office", Label: "Microsoft Entra ID", About: "Accounts and groups of an Entra tenant (Azure AD).", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In the Entra admin center open App registrations and press New registration.", Link: "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade"},
			{Text: "Choose the platform type Web and paste this.", Copy: []connectors.Copy{{Label: "Redirect URI", Value: connectors.CopyCallback}}},
			{Text: "Under API permissions add Microsoft Graph, delegated: User.Read, and for group names Directory.Read.All, and press Grant admin consent."},
			{Text: "Under Certificates & secrets make a client secret and copy its Value, not its Secret ID: it is shown once."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: append(mainFields(), moreFields()...),
	}
}

func mainFields() []connectors.Field {
	return []connectors.Field{
		{Key: "tenant", Label: "Directory (tenant) ID", Help: "“common” and “organizations” would let any company in.", Kind: form.Text, Required: true, Section: "App registration", Destination: true},
		{Key: "clientID", Label: "Application (client) ID", Kind: form.Text, Required: true},
		{Key: "clientSecret", Label: "Client secret value", Help: "The Value, not the Secret ID.", Kind: form.Secret, Required: true},
		{Key: "secretEnds", Label: "Client secret expires", Help: "As Entra shows it. The overview warns 30 days before.", Kind: form.Date},
		{Key: "groups", Label: "Allowed groups", Help: "One per line. Leave empty for everybody in the tenant.", Kind: form.List, Section: "Access"},
		{Key: "groupNameFormat", Label: "Groups as", Kind: form.Select, Section: "Groups", Options: []form.Option{{Value: "", Label: "Display name"}, {Value: "id", Label: "Object ID"}}},
		{Key: "onlySecurityGroups", Label: "Security groups only", Kind: form.Bool},
	}
}

func moreFields() []connectors.Field {
	return []connectors.Field{
		{Key: "batchGroupLookups", Label: "Look groups up in batches", Help: "For people in more than 1000 groups.", Kind: form.Bool, Advanced: true},
		{Key: "emailToLowercase", Label: "Mail addresses in lower case", Kind: form.Bool, Advanced: true},
		{Key: "preferredUsernameField", Label: "User name from", Kind: form.Select, Advanced: true, Options: []form.Option{
			{Value: "", Label: "User principal name"}, {Value: "mailNickname", Label: "Mail nickname"}, {Value: "onPremisesSamAccountName", Label: "On-premises account name"},
		}},
		{Key: "domainHint", Label: "Domain hint", Kind: form.Text, Advanced: true},
		{Key: "promptType", Label: "Prompt", Kind: form.Text, Advanced: true, Placeholder: "select_account"},
		{Key: "apiURL", Label: "Sign-in address of the cloud", Help: "Leave empty for the global cloud. https://login.microsoftonline.us for the US government, https://login.partner.microsoftonline.cn for China.", Kind: form.Text, Advanced: true, Destination: true},
		{Key: "graphURL", Label: "Graph address of the cloud", Help: "Leave empty for the global cloud. https://graph.microsoft.us or https://microsoftgraph.chinacloudapi.cn.", Kind: form.Text, Advanced: true, Destination: true},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("tenant", c.Tenant, "Copy the Directory (tenant) ID from the overview of the app registration"),
		connectors.Missing("clientID", c.ClientID, "Copy the Application (client) ID from the overview of the app registration"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the secret’s Value from Certificates & secrets"),
		connectors.Date("secretEnds", c.SecretEnds),
		connectors.OneOf("groupNameFormat", c.GroupNameFormat, "", "name", "id"),
		connectors.OneOf("preferredUsernameField", c.PreferredUsernameField, "", "email", "mailNickname", "onPremisesSamAccountName"),
		connectors.Address("apiURL", c.APIURL, "https://login.microsoftonline.us"),
		connectors.Address("graphURL", c.GraphURL, "https://graph.microsoft.us"),
	)
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	return dexadapter.Open(ctx, &dexmicrosoft.Config{
		Tenant: c.Tenant, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL, Groups: c.Groups,
		GroupNameFormat: dexmicrosoft.GroupNameFormat(cmp.Or(c.GroupNameFormat, "name")), OnlySecurityGroups: c.OnlySecurityGroups,
		UseGroupsAsWhitelist: len(c.Groups) > 0, BatchGroupLookups: c.BatchGroupLookups, EmailToLowercase: c.EmailToLowercase,
		PreferredUsernameField: c.PreferredUsernameField, DomainHint: c.DomainHint, PromptType: c.PromptType, APIURL: c.APIURL, GraphURL: c.GraphURL,
	}, env, dexadapter.Options{Profile: "/v1.0/me", ID: "id", Admit: admit})
}

// admit drops the address of external users, whose user principal name is none. Those of members have a domain that the tenant
// has proved to own.
func admit(_ context.Context, id connectors.Identity, _ claims.Set) (connectors.Identity, error) {
	if strings.Contains(id.Email, "#EXT#") {
		id.Email, id.EmailVerified = "", false
	}
	return id, nil
}

func (c *Config) site() string { return cmp.Or(c.APIURL, "https://login.microsoftonline.com") }

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OAuth(ctx, env, c.site(), "", probe.OAuthClient{
		TokenURL: c.site() + "/" + url.PathEscape(c.Tenant) + "/oauth2/v2.0/token", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Application (client) ID", SecretLabel: "client secret Value",
	})
}
