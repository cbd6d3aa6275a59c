// Package github is the connector for GitHub and GitHub Enterprise Server. It uses
// the OAuth code flow. Organizations and teams become groups, and the numeric id,
// which survives a rename, is the subject.
package github

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector. The field names are GitHub's own.
type Config struct {
	ClientID     string       `json:"clientID" yaml:"clientID"`
	ClientSecret secret.Value `json:"clientSecret" yaml:"clientSecret"`
	// Host is the address of GitHub Enterprise Server, such as
	// "https://github.example.com"; empty means github.com.
	Host string `json:"host" yaml:"host"`
	// CA is the PEM of the authorities that signed the host's certificate.
	CA string `json:"ca" yaml:"ca"`
	// Orgs are who may sign in. At least one is needed: without, everybody with
	// a GitHub account could.
	Orgs []Org `json:"orgs" yaml:"orgs"`
}

// Org is an organization whose members may sign in.
type Org struct {
	Name string `json:"name" yaml:"name"`
	// Teams, by slug, narrow it to members of one of them.
	Teams []string `json:"teams" yaml:"teams"`
}

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "github", Icon: "code", Label: "GitHub",
		Config: func() connectors.Config { return &Config{} },
		About:  "Organizations and teams of github.com or GitHub Enterprise Server.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "In GitHub open Settings, Developer settings, OAuth apps, and press New OAuth App. For an organization start at the organization’s settings.", Link: "https://github.com/settings/applications/new"},
			{Text: "Paste these two values and register the application.", Copy: []connectors.Copy{
				{Label: "Homepage URL", Value: connectors.CopyHome}, {Label: "Authorization callback URL", Value: connectors.CopyCallback},
			}},
			{Text: "Copy the Client ID, press Generate a new client secret, and copy that too: GitHub shows it once."},
			{Text: "An organization that restricts third-party applications has to approve this one first."},
		},
		Fields: []connectors.Field{
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "OAuth app", Placeholder: "Ov23liABCDEF12345678"},
			{Key: "clientSecret", Label: "Client secret", Kind: form.Secret, Required: true},
			{
				Key: "orgs", Label: "Organizations", Kind: form.Rows, Required: true, Section: "Access",
				Help: "Members of one of these. The groups are ORGANIZATION:TEAM.",
				Fields: []connectors.Field{
					{Key: "name", Label: "Organization", Kind: form.Text, Placeholder: "acme"},
					{Key: "teams", Label: "Teams", Kind: form.List, Help: "By slug, one per line. Leave empty for every member.", Placeholder: "platform"},
				},
			},
			{Key: "host", Label: "Enterprise host", Help: "The address of GitHub Enterprise Server. Leave empty for github.com.", Kind: form.Text, Advanced: true, Placeholder: "https://github.example.com", Destination: true},
			{Key: "ca", Label: "Enterprise CA certificate", Help: "PEM, when the host’s certificate is signed by your own authority.", Kind: form.PEM, Advanced: true},
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	var problems []connectors.Problem
	add := func(field, message string) {
		problems = append(problems, connectors.Problem{Field: field, Message: message})
	}
	if c.ClientID == "" {
		add("clientID", "must not be empty. Copy it from the OAuth app at GitHub")
	}
	if c.ClientSecret.Empty() {
		add("clientSecret", "must not be empty. Create one in the OAuth app at GitHub")
	}
	if len(c.Orgs) == 0 {
		add("orgs", "must not be empty. Without an organization, every GitHub account could sign in. Add one")
	}
	for i, org := range c.Orgs {
		if org.Name == "" {
			add(fmt.Sprintf("orgs[%d].name", i), "must not be empty. Enter the name of the organization")
		}
	}
	if c.Host != "" && !isHost(c.Host) {
		add("host", "must be an address without a path. Enter it like https://github.example.com")
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		add("ca", "must be a certificate in PEM format. Paste it from the line BEGIN CERTIFICATE on")
	}
	return problems
}

func isHost(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && strings.Trim(u.Path, "/") == "" && (u.Scheme == "https" || u.Hostname() == "127.0.0.1")
}

// Open returns the connector. It sends no request yet.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, errors.New(problems[0].Field + " " + problems[0].Message)
	}
	host := "https://github.com"
	if c.Host != "" {
		host = strings.TrimSuffix(c.Host, "/")
	}
	return &Connector{cfg: *c, host: host, env: env, http: probe.Client(env, c.CA)}, nil
}

// Connector signs people in with GitHub.
type Connector struct {
	cfg  Config
	host string
	env  connectors.Env
	http *http.Client
}

var (
	_ connectors.Redirecter = (*Connector)(nil)
	_ connectors.Refresher  = (*Connector)(nil)
)

func (c *Connector) oauth(callbackURL string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret.Reveal(), RedirectURL: callbackURL,
		Scopes: []string{"read:org", "user:email"},
		Endpoint: oauth2.Endpoint{
			AuthURL: c.host + "/login/oauth/authorize", TokenURL: c.host + "/login/oauth/access_token",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// AuthURL sends the browser to GitHub, with PKCE. An older Enterprise Server
// ignores the challenge.
func (c *Connector) AuthURL(_ context.Context, callbackURL, state string) (address string, kept []byte, err error) {
	verifier := oauth2.GenerateVerifier()
	return c.oauth(callbackURL).AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), []byte(verifier), nil
}

// Callback redeems the code and reads the account.
func (c *Connector) Callback(ctx context.Context, callbackURL string, kept []byte, r *http.Request) (connectors.Identity, error) {
	q := r.URL.Query()
	if code := q.Get("error"); code != "" {
		return connectors.Identity{}, connectors.OAuthError(0, code, q.Get("error_description"))
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.http)
	tok, err := c.oauth(callbackURL).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(string(kept)))
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("redeeming code: %w", classify(err))
	}
	return c.read(ctx, tok)
}

// Refresh reads the account again with the stored token, which is renewed first
// when it can expire.
func (c *Connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	var tok oauth2.Token
	if err := json.Unmarshal(last.Data, &tok); err != nil {
		return connectors.Identity{}, connectors.Unconfirmed() // the cause could show the token
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.http)
	if !tok.Valid() && tok.RefreshToken == "" {
		return connectors.Identity{}, connectors.Unconfirmed()
	}
	renewed, err := c.oauth("").TokenSource(ctx, &tok).Token()
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("renewing token: %w", classify(err))
	}
	return c.read(ctx, renewed)
}

// read returns the account that the token is for. With an error it returns the token alone.
func (c *Connector) read(ctx context.Context, tok *oauth2.Token) (connectors.Identity, error) {
	data, err := json.Marshal(tok)
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("encoding token: %w", err)
	}
	client, err := c.client(ctx, tok)
	if err != nil {
		return connectors.Identity{}, err
	}
	id, err := c.account(ctx, client)
	if err != nil {
		return connectors.Identity{Data: data}, classify(err)
	}
	id.Data = data
	return id, nil
}

func (c *Connector) client(ctx context.Context, tok *oauth2.Token) (*gh.Client, error) {
	client := gh.NewClient(oauth2.NewClient(ctx, oauth2.StaticTokenSource(tok)))
	if c.cfg.Host == "" {
		return client, nil
	}
	return client.WithEnterpriseURLs(c.host, c.host)
}

func (c *Connector) account(ctx context.Context, client *gh.Client) (connectors.Identity, error) {
	user, _, err := client.Users.Get(ctx, "")
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("reading account: %w", err)
	}
	if user.SuspendedAt != nil {
		return connectors.Identity{}, suspended(nil)
	}
	if user.GetID() == 0 {
		return connectors.Identity{}, errors.New("the account has no id")
	}
	email, err := primaryEmail(ctx, client)
	if err != nil {
		return connectors.Identity{}, err
	}
	groups, err := c.groups(ctx, client)
	if err != nil {
		return connectors.Identity{}, err
	}
	return connectors.Identity{
		Subject: strconv.FormatInt(user.GetID(), 10), Username: user.GetLogin(), Name: user.GetName(),
		Email: email, EmailVerified: email != "", Groups: groups,
	}, nil
}

// primaryEmail returns the primary address if GitHub has verified it.
func primaryEmail(ctx context.Context, client *gh.Client) (string, error) {
	for opts := (&gh.ListOptions{PerPage: 100}); ; {
		emails, resp, err := client.Users.ListEmails(ctx, opts)
		if err != nil {
			return "", fmt.Errorf("reading e-mail addresses: %w", err)
		}
		for _, e := range emails {
			if e.GetPrimary() && e.GetVerified() {
				return e.GetEmail(), nil
			}
		}
		if resp.NextPage == 0 {
			return "", nil
		}
		opts.Page = resp.NextPage
	}
}

// groups returns "org" and "org:team" for the configured organizations, or
// ErrDenied when the person is in none of them.
func (c *Connector) groups(ctx context.Context, client *gh.Client) ([]string, error) {
	orgs, hidden, err := c.memberOf(ctx, client)
	if err != nil {
		return nil, err
	}
	teams, err := teamsOf(ctx, client)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, org := range c.cfg.Orgs {
		key := strings.ToLower(org.Name)
		if !orgs[key] || !inTeam(org, teams[key]) {
			continue
		}
		groups = append(groups, org.Name)
		for _, team := range teams[key] {
			groups = append(groups, org.Name+":"+team)
		}
	}
	if len(groups) == 0 {
		return nil, c.notMember(hidden)
	}
	return groups, nil
}

func inTeam(org Org, teams []string) bool {
	return len(org.Teams) == 0 || slices.ContainsFunc(org.Teams, func(allowed string) bool {
		return slices.ContainsFunc(teams, func(team string) bool { return strings.EqualFold(team, allowed) })
	})
}

// memberOf returns the user's organizations by lower-case login, and whether GitHub
// hides some until the user has signed in to their single sign-on.
func (c *Connector) memberOf(ctx context.Context, client *gh.Client) (orgs map[string]bool, hidden bool, err error) {
	orgs = map[string]bool{}
	for opts := (&gh.ListOptions{PerPage: 100}); ; {
		page, resp, err := client.Organizations.List(ctx, "", opts)
		if err != nil {
			return nil, false, fmt.Errorf("reading organizations: %w", err)
		}
		if resp.Header.Get(headerSSO) != "" {
			hidden = true
			c.env.Logger.WarnContext(ctx, "GitHub hides organizations until single sign-on is done", "connector", c.env.ID)
		}
		for _, org := range page {
			orgs[strings.ToLower(org.GetLogin())] = true
		}
		if resp.NextPage == 0 {
			return orgs, hidden, nil
		}
		opts.Page = resp.NextPage
	}
}

// teamsOf returns the slugs of the person's teams by lower-case organization.
func teamsOf(ctx context.Context, client *gh.Client) (map[string][]string, error) {
	teams := map[string][]string{}
	for opts := (&gh.ListOptions{PerPage: 100}); ; {
		page, resp, err := client.Teams.ListUserTeams(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("reading teams: %w", err)
		}
		for _, team := range page {
			key := strings.ToLower(team.GetOrganization().GetLogin())
			teams[key] = append(teams[key], team.GetSlug())
		}
		if resp.NextPage == 0 {
			return teams, nil
		}
		opts.Page = resp.NextPage
	}
}
