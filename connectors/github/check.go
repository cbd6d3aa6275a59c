package github

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
)

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	opened, err := c.Open(ctx, env)
	github, ok := opened.(*Connector)
	if err != nil || !ok || !run.Site(ctx, github.host, c.CA) {
		run.Skip("Check the client and its secret", "Look for the organizations")
		return run.Findings()
	}
	run.CheckClient(ctx, github.http, probe.OAuthClient{
		TokenURL: github.host + "/login/oauth/access_token", ID: c.ClientID, Secret: c.ClientSecret.Reveal(), Callback: env.CallbackURL,
		IDLabel: "Client ID", SecretLabel: "Client secret",
	})
	for _, org := range c.Orgs {
		run.Step(ctx, "Look for the organization "+org.Name, func(ctx context.Context) (string, error) { return github.findOrg(ctx, org.Name) })
	}
	return run.Findings()
}

func (c *Connector) findOrg(ctx context.Context, name string) (string, error) {
	client := gh.NewClient(c.http)
	if c.cfg.Host != "" {
		enterprise, err := client.WithEnterpriseURLs(c.host, c.host)
		if err != nil {
			return "", err
		}
		client = enterprise
	}
	org, res, err := client.Organizations.Get(ctx, name)
	if err == nil {
		return org.GetLogin(), nil
	}
	if res != nil && res.StatusCode == http.StatusNotFound {
		return "", &probe.FaultError{Cause: fmt.Sprintf("GitHub has no organization %q.", name), Remedy: "Write the name as it is in the organization’s address: github.com/NAME."}
	}
	return "", err
}
