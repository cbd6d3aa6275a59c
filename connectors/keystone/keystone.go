// Package keystone is the connector for the names and passwords of OpenStack Keystone
// (Identity API v3). It is not Dex's connector, which calls people what they typed,
// lets switched-off accounts renew, and takes a wrong password for an outage.
package keystone

import (
	"context"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// Host is Keystone's address, without /v3.
	Host string `json:"host" yaml:"host"`
	// Domain is the id or the name of the people's domain.
	Domain string `json:"domain" yaml:"domain"`
	// Username and Password are those of a service user in the same domain, who may read
	// users and groups.
	Username string       `json:"username" yaml:"username"`
	Password secret.Value `json:"password" yaml:"password"`
	// Project, when set, is the project of that domain where the service user has its
	// role. Without one the role is on the domain.
	Project string `json:"project" yaml:"project"`
	// Groups are those whose members may sign in. None means everybody.
	Groups []string `json:"groups" yaml:"groups"`
	// ProviderVerifiesEmail treats the addresses as verified.
	ProviderVerifiesEmail bool `json:"providerVerifiesEmail" yaml:"providerVerifiesEmail"`
	// CA is the PEM of the authorities that signed Keystone's certificate.
	CA string `json:"ca" yaml:"ca"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "keystone", Icon: "cloud", Label: "OpenStack Keystone", About: "Names, passwords and groups of an OpenStack domain.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In the people’s domain make a service user and give it the role reader on the domain: openstack role add --user fairlead --domain DOMAIN reader."},
			{Text: "If the policy lets only admins read users, give it the role admin instead, on the domain or on a project."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "host", Label: "Keystone URL", Help: "Without /v3.", Kind: form.Text, Required: true, Section: "Keystone", Placeholder: "https://keystone.example.com:5000", Destination: true},
			{Key: "domain", Label: "Domain", Help: "ID or name.", Kind: form.Text, Required: true, Placeholder: "default", Destination: true},
			{Key: "username", Label: "Service user", Kind: form.Text, Required: true, Destination: true},
			{Key: "password", Label: "Its password", Kind: form.Secret, Required: true},
			{Key: "project", Label: "Project", Help: "The project on which the service user has its role. Leave empty if it has the role on the domain.", Kind: form.Text, Advanced: true},
			{Key: "providerVerifiesEmail", Label: "This provider verifies mail addresses", Help: "Keystone does not say which addresses are verified. Switch it on if users can’t change their address themselves.", Kind: form.Bool, Advanced: true, Danger: "Access rules for domains trust these addresses."},
			{Key: "ca", Label: "CA certificate", Kind: form.PEM, Advanced: true},
			{Key: "groups", Label: "Allowed groups", Help: "Groups whose members can sign in, one per line. Leave empty for everybody of the domain.", Kind: form.List, Section: "Access"},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	faults := connectors.Faults(
		connectors.Missing("host", c.Host, "Enter Keystone’s address"),
		connectors.Address("host", c.Host, "https://keystone.example.com:5000"),
		connectors.Missing("domain", c.Domain, "Enter the ID or the name of the users’ domain. The ID of the first domain is default"),
		connectors.Missing("username", c.Username, "Enter the name of the service user"),
		connectors.Missing("password", c.Password.Reveal(), "Enter the password of the service user"),
		connectors.Certificate("ca", c.CA),
	)
	if strings.HasSuffix(strings.TrimSuffix(c.Host, "/"), "/v3") {
		faults = append(faults, connectors.Problem{Field: "host", Message: "must not contain /v3. Remove it"})
	}
	return faults
}

// Open returns the connector. It asks nothing yet.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	return &connector{cfg: *c, client: probe.Client(env, c.CA)}, nil
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	const signIn, read = "Sign in as the service user", "Read users and groups"
	if !run.Site(ctx, c.Host, c.CA) {
		run.Skip(signIn, read)
		return run.Findings()
	}
	asked := &connector{cfg: *c, client: probe.Client(env, c.CA)}
	var s session
	if !run.Step(ctx, signIn, func(ctx context.Context) (detail string, err error) {
		s, err = asked.service(ctx)
		return "as " + s.user.Name + " of the domain " + s.user.Domain.Name, err
	}) {
		run.Skip(read)
		return run.Findings()
	}
	run.Step(ctx, read, func(ctx context.Context) (string, error) {
		return "the service user may read", asked.mayRead(ctx, s)
	})
	return run.Findings()
}
