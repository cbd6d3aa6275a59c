// Package saml is the connector for a SAML 2.0 identity provider (HTTP POST
// binding), through Dex's connector.
package saml

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	dexsaml "github.com/dexidp/dex/connector/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
)

// Config is the settings of the connector.
type Config struct {
	// SSOURL is where the browser posts the request.
	SSOURL string `json:"ssoURL" yaml:"ssoURL"`
	// SSOIssuer is the identity provider's entity id.
	SSOIssuer string `json:"ssoIssuer" yaml:"ssoIssuer"`
	// Certificates sign the provider's answers, in PEM form.
	Certificates string `json:"certificates" yaml:"certificates"`
	// EntityIssuer is our entity id. Default: the callback address.
	EntityIssuer string `json:"entityIssuer" yaml:"entityIssuer"`
	UsernameAttr string `json:"usernameAttr" yaml:"usernameAttr"`
	EmailAttr    string `json:"emailAttr" yaml:"emailAttr"`
	GroupsAttr   string `json:"groupsAttr" yaml:"groupsAttr"`
	// GroupsDelim splits one value into several groups.
	GroupsDelim   string   `json:"groupsDelim" yaml:"groupsDelim"`
	AllowedGroups []string `json:"allowedGroups" yaml:"allowedGroups"`
	// NameIDFormat is asked for. Default "persistent".
	NameIDFormat string `json:"nameIDFormat" yaml:"nameIDFormat"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "saml", Icon: "shield", Label: "SAML 2.0", About: "An identity provider that speaks SAML. Groups are as old as the sign-in: choose OpenID Connect when there is a choice.", Can: []string{"groups"},
		Steps: []connectors.Step{
			{Text: "At the identity provider make a SAML application and paste these values. The first is also called Assertion Consumer Service URL, Reply URL (Entra) or Single sign-on URL (Okta); the second Identifier (Entra) or Audience URI (Okta).", Copy: []connectors.Copy{
				{Label: "ACS URL", Value: connectors.CopyCallback}, {Label: "SP entity ID", Value: connectors.CopyCallback},
			}},
			{Text: "Let it send attributes with the user name, the mail address and the groups, and sign the assertion or the response."},
			{Text: "Copy its sign-on address (Login URL), its identifier (Entity ID) and its signing certificate."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: fields(),
	}
}

func fields() []connectors.Field {
	return []connectors.Field{
		{Key: "ssoURL", Label: "SSO URL", Help: "Entra: Login URL.", Kind: form.Text, Required: true, Section: "Identity provider", Placeholder: "https://idp.example.com/sso", Destination: true},
		{Key: "ssoIssuer", Label: "IdP issuer", Help: "Entra: Microsoft Entra Identifier. Else: Entity ID.", Kind: form.Text, Required: true, Placeholder: "https://idp.example.com/metadata"},
		{Key: "certificates", Label: "Signing certificates", Help: "PEM. Two while the provider changes its certificate.", Kind: form.PEM, Required: true},
		{Key: "usernameAttr", Label: "User name attribute", Kind: form.Text, Required: true, Section: "Attributes", Placeholder: "name"},
		{Key: "emailAttr", Label: "Mail attribute", Kind: form.Text, Required: true, Placeholder: "email"},
		{Key: "groupsAttr", Label: "Groups attribute", Kind: form.Text, Placeholder: "groups"},
		{Key: "groupsDelim", Label: "Groups delimiter", Help: "When one value holds several groups.", Kind: form.Text, Advanced: true, Placeholder: ","},
		{Key: "allowedGroups", Label: "Allowed groups", Help: "Groups whose members can sign in, one per line. Leave empty to allow every account of the provider.", Kind: form.List, Section: "Access"},
		{Key: "nameIDFormat", Label: "NameID format", Help: "It must be one that never changes.", Kind: form.Select, Advanced: true, Options: []form.Option{
			{Value: "", Label: "persistent"}, {Value: "emailAddress", Label: "emailAddress"}, {Value: "unspecified", Label: "unspecified"}, {Value: "X509SubjectName", Label: "X509SubjectName"},
		}},
		{Key: "entityIssuer", Label: "SP entity ID", Help: "The callback address when empty.", Kind: form.Text, Advanced: true},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("ssoURL", c.SSOURL, "Copy the sign-on address from the identity provider"),
		connectors.Address("ssoURL", c.SSOURL, "https://idp.example.com/sso"),
		connectors.Missing("ssoIssuer", c.SSOIssuer, "Copy the identifier of the identity provider: without it any provider with this certificate could sign users in"),
		connectors.Missing("certificates", c.Certificates, "Paste the signing certificate of the identity provider, which verifies its responses"),
		connectors.Certificate("certificates", c.Certificates),
		connectors.Missing("usernameAttr", c.UsernameAttr, "Name the attribute with the user name"),
		connectors.Missing("emailAttr", c.EmailAttr, "Name the attribute with the mail address"),
		connectors.OneOf("nameIDFormat", c.NameIDFormat, "", "persistent", "emailAddress", "unspecified", "X509SubjectName"),
	)
}

// Open returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	entity := c.EntityIssuer
	if entity == "" {
		entity = env.CallbackURL
	}
	return dexadapter.Open(ctx, &dexsaml.Config{
		SSOURL: c.SSOURL, SSOIssuer: c.SSOIssuer, CAData: []byte(c.Certificates), EntityIssuer: entity, RedirectURI: env.CallbackURL,
		UsernameAttr: c.UsernameAttr, EmailAttr: c.EmailAttr, GroupsAttr: c.GroupsAttr, GroupsDelim: c.GroupsDelim, AllowedGroups: c.AllowedGroups,
		NameIDPolicyFormat: c.NameIDFormat,
	}, env, dexadapter.Options{SignInOnly: true})
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	run.Site(ctx, c.SSOURL, "")
	for rest := []byte(c.Certificates); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		run.Step(ctx, "Look at a signing certificate", func(context.Context) (string, error) { return lookAt(block.Bytes, env.Now()) })
	}
	run.Warn("Ask again later", "SAML knows no way to ask again about a person.", "A removed group is noticed at the next sign-in: keep sessions short.")
	return run.Findings()
}

func lookAt(raw []byte, now time.Time) (string, error) {
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return "", fmt.Errorf("reading certificate: %w", err)
	}
	if now.After(certificate.NotAfter) {
		return "", &probe.FaultError{Cause: "The certificate ended on " + certificate.NotAfter.Format("2 Jan 2006") + ".", Remedy: "Copy the new one from the identity provider."}
	}
	return fmt.Sprintf("%s, good until %s", certificate.Subject.CommonName, certificate.NotAfter.Format("2 Jan 2006")), nil
}
