// Package openshift is the connector for the accounts of an OpenShift cluster,
// through Dex's connector.
package openshift

import (
	"context"
	"log/slog"
	"strings"

	dex "github.com/dexidp/dex/connector"
	dexopenshift "github.com/dexidp/dex/connector/openshift"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/dexadapter"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// Issuer is the address of the cluster's API server.
	Issuer       string       `json:"issuer" yaml:"issuer"`
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// Groups are those whose members may sign in. None means everybody.
	Groups []string `json:"groups" yaml:"groups"`
	// CA is the PEM of the authorities that signed the cluster's certificates.
	CA string `json:"ca" yaml:"ca"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "openshift", Icon: "cloud", Label: "OpenShift", About: "Accounts and groups of an OpenShift cluster.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In that cluster make an OAuthClient (oauth.openshift.io/v1): its name is the client ID, and its secret is a long random text.", Link: "https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/authentication_and_authorization/configuring-oauth-clients"},
			{Text: "Add this to its redirectURIs, and set grantMethod to prompt or auto.", Copy: []connectors.Copy{{Label: "redirectURIs", Value: connectors.CopyCallback}}},
			{Text: "OpenShift’s tokens end after a day, unless accessTokenMaxAgeSeconds says otherwise; people then sign in again."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "issuer", Label: "API server", Kind: form.Text, Required: true, Section: "Cluster", Placeholder: "https://api.openshift.example.com:6443", Destination: true},
			{Key: "ca", Label: "CA certificate", Help: "Of the API server and of its sign-in page, when no public authority signed them.", Kind: form.PEM},
			{Key: "clientID", Label: "Client ID", Help: "The name of the OAuthClient.", Kind: form.Text, Required: true, Section: "OAuthClient"},
			{Key: "clientSecret", Label: "Secret", Kind: form.Secret, Required: true},
			{Key: "groups", Label: "Allowed groups", Help: "Groups whose members can sign in, one per line. Leave empty to allow every account of that cluster.", Kind: form.List, Section: "Access"},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	return connectors.Faults(
		connectors.Missing("issuer", c.Issuer, "Enter the address of the cluster’s API server"),
		connectors.Address("issuer", c.Issuer, "https://api.openshift.example.com:6443"),
		connectors.Missing("clientID", c.ClientID, "Enter the name of the OAuthClient"),
		connectors.Missing("clientSecret", c.ClientSecret.Reveal(), "Copy the secret of the OAuthClient"),
		connectors.Certificate("ca", c.CA),
	)
}

func (c *Config) site() string { return strings.TrimSuffix(c.Issuer, "/") }

// Open reads the cluster's discovery document and returns the connector.
func (c *Config) Open(ctx context.Context, env connectors.Env) (connectors.Connector, error) {
	cfg := opener{&dexopenshift.Config{
		Issuer: c.site(), ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURI: env.CallbackURL, Groups: c.Groups,
	}, c, env}
	return dexadapter.Open(ctx, cfg, env, dexadapter.Options{CA: c.CA, Profile: "/users/~", ID: "metadata.uid", Admit: admit})
}

// opener gives Dex's connector our client, which knows the CA and has deadlines.
type opener struct {
	cfg *dexopenshift.Config
	c   *Config
	env connectors.Env
}

// Open does what Dex's own would do.
func (o opener) Open(id string, logger *slog.Logger) (dex.Connector, error) {
	return o.cfg.OpenWithHTTPClient(id, logger, dexadapter.Client(o.env, o.c.CA))
}

// admit drops the mail address: OpenShift has none, and Dex says the user name twice.
func admit(_ context.Context, id connectors.Identity, _ claims.Set) (connectors.Identity, error) {
	id.Email = ""
	return id, nil
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	var found struct {
		Token string `json:"token_endpoint"`
	}
	if !run.Site(ctx, c.site(), c.CA) || !run.Step(ctx, "Read the cluster’s OAuth addresses", func(ctx context.Context) (string, error) {
		_, err := probe.JSON(ctx, probe.Client(env, c.CA), c.site()+"/.well-known/oauth-authorization-server", &found)
		if err == nil && found.Token == "" {
			err = &probe.FaultError{Cause: "The API server names no token endpoint.", Remedy: "Check that this is OpenShift, and that its built-in OAuth server is on."}
		}
		return found.Token, err
	}) {
		run.Skip("Check the client and its secret")
		return run.Findings()
	}
	return append(run.Findings(), probe.OAuth(ctx, env, found.Token, c.CA, probe.OAuthClient{
		TokenURL: found.Token, ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Secret",
	})...)
}
