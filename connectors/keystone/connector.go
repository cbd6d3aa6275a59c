package keystone

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/rest"
)

// idBytes is how long Keystone's ids are: UUIDs, mostly without hyphens.
const idBytes = 16

// connector calls Keystone's Identity API v3. It drops the user's own token: the
// service user reads the account, at sign-ins and at renewals.
type connector struct {
	cfg    Config
	client *http.Client
}

var (
	_ connectors.Passworder = (*connector)(nil)
	_ connectors.Refresher  = (*connector)(nil)
)

// domain has an id or a name.
type domain struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// session is what Keystone gives for a password.
type session struct {
	token string
	user  owner
}

// owner is whose session it is.
type owner struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain domain `json:"domain"`
}

// domain reads a setting that may be an id or a name, as the tools of OpenStack do.
func (c *connector) domain() domain {
	id, err := hex.DecodeString(strings.ReplaceAll(c.cfg.Domain, "-", ""))
	if c.cfg.Domain == "default" || err == nil && len(id) == idBytes {
		return domain{ID: c.cfg.Domain}
	}
	return domain{Name: c.cfg.Domain}
}

// UsernameLabel implements connectors.Passworder.
func (c *connector) UsernameLabel() string { return "User name" }

// Login implements connectors.Passworder.
func (c *connector) Login(ctx context.Context, username, password string) (connectors.Identity, error) {
	if username == "" || password == "" {
		return connectors.Identity{}, connectors.ErrBadCredentials
	}
	// Unscoped: it proves the password and is good for nothing else.
	theirs, err := c.authenticate(ctx, username, password, "unscoped")
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.person(ctx, theirs.user.ID)
}

// Refresh implements connectors.Refresher.
func (c *connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	return c.person(ctx, last.Subject)
}

// person reads an account, as the service user.
func (c *connector) person(ctx context.Context, id string) (connectors.Identity, error) {
	s, err := c.service(ctx)
	if err != nil {
		return connectors.Identity{}, err
	}
	var found struct {
		User struct {
			ID      string `json:"id"`
			Name    string `json:"name"`
			Email   string `json:"email"`
			Enabled bool   `json:"enabled"`
		} `json:"user"`
	}
	if err := c.read(ctx, s, "/users/"+url.PathEscape(id), &found); err != nil {
		return connectors.Identity{}, err
	}
	u := found.User
	if u.ID != id || u.Name == "" {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "Keystone answered about another account.", connectors.SignInAgain)
	}
	if !u.Enabled {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The account is disabled in Keystone.", "Ask an admin of Keystone to enable it.")
	}
	groups, err := c.groups(ctx, s, id)
	if err != nil {
		return connectors.Identity{}, err
	}
	return connectors.Identity{Subject: u.ID, Username: u.Name, Name: u.Name, Email: u.Email, EmailVerified: u.Email != "" && c.cfg.ProviderVerifiesEmail, Groups: groups}, nil
}

func (c *connector) groups(ctx context.Context, s session, id string) ([]string, error) {
	var list struct {
		Groups []struct {
			Name string `json:"name"`
		} `json:"groups"`
		// Truncated says that the list has more groups than Keystone's list_limit.
		Truncated bool `json:"truncated"`
	}
	if err := c.read(ctx, s, "/users/"+url.PathEscape(id)+"/groups", &list); err != nil {
		return nil, err
	}
	if list.Truncated {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Keystone cut its list of groups.", "Raise list_limit in Keystone's configuration above the largest number of groups of a user.")
	}
	var names []string
	allowed := len(c.cfg.Groups) == 0
	for _, g := range list.Groups {
		names = append(names, g.Name)
		allowed = allowed || slices.Contains(c.cfg.Groups, g.Name)
	}
	if !allowed {
		return nil, connectors.NewError(connectors.OutcomeDenied, nil, "The account is in none of the groups that may sign in.", "Ask an admin to add it to one of them.")
	}
	slices.Sort(names)
	return names, nil
}

// service signs the service user in, where its role is.
func (c *connector) service(ctx context.Context) (session, error) {
	var scope any = map[string]any{"domain": c.domain()}
	if c.cfg.Project != "" {
		scope = map[string]any{"project": map[string]any{"name": c.cfg.Project, "domain": c.domain()}}
	}
	s, err := c.authenticate(ctx, c.cfg.Username, c.cfg.Password.Reveal(), scope)
	if o := connectors.OutcomeOf(err); err != nil && (o == connectors.OutcomeBadCredentials || o == connectors.OutcomeSignInAgain) {
		return session{}, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Keystone refused the service user (401).", "Check its name, its password and its domain, and that it has a role there.")
	}
	return s, err
}

// authenticate asks for a token ("Password authentication", Identity API v3).
func (c *connector) authenticate(ctx context.Context, username, password string, scope any) (session, error) {
	answer, err := rest.Ask(ctx, c.client, rest.Request{Method: http.MethodPost, URL: c.address("/auth/tokens"), Body: map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": username, "domain": c.domain(), "password": password},
		}},
		"scope": scope,
	}}})
	if err != nil {
		return session{}, fmt.Errorf("asking Keystone: %w", err)
	}
	switch answer.Status {
	case http.StatusCreated:
	case http.StatusUnauthorized:
		return session{}, refused(answer)
	default:
		return session{}, notKeystone(answer.Status)
	}
	var said struct {
		Token struct {
			User owner `json:"user"`
		} `json:"token"`
	}
	if err := answer.Into(&said); err != nil {
		return session{}, err
	}
	s := session{token: answer.Header.Get("X-Subject-Token"), user: said.Token.User}
	if s.token == "" || s.user.ID == "" {
		return session{}, errors.New("the answer of Keystone has no token, or does not say whose it is")
	}
	return s, nil
}

// refused returns the error of a refused password. Keystone looks at the expiry only after the password was right, so
// the text tells a guesser nothing.
func refused(answer *rest.Answer) error {
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if answer.Into(&said) == nil && strings.Contains(said.Error.Message, "password is expired") {
		return connectors.NewError(connectors.OutcomeSignInAgain, nil, "The password has expired in Keystone.", "Change it there.")
	}
	return connectors.ErrBadCredentials
}

func (c *connector) read(ctx context.Context, s session, path string, into any) error {
	answer, err := rest.Ask(ctx, c.client, rest.Request{Method: http.MethodGet, URL: c.address(path), Header: http.Header{"X-Auth-Token": {s.token}}})
	if err != nil {
		return fmt.Errorf("asking Keystone: %w", err)
	}
	switch answer.Status {
	case http.StatusOK:
		return answer.Into(into)
	case http.StatusNotFound:
		return connectors.NewError(connectors.OutcomeDenied, nil, "The account is no longer in Keystone.", "Ask an admin of Keystone to create it again.")
	case http.StatusForbidden:
		return connectors.NewError(connectors.OutcomeMisconfigured, nil, "The service user may not read users (403).", "Give it the role reader on the domain, or name the project where it has a role under More.")
	}
	return notKeystone(answer.Status)
}

// mayRead tries what sign-ins will need. Everybody may read their own record, so it asks
// for one that can't be there: who may read gets a 404.
func (c *connector) mayRead(ctx context.Context, s session) error {
	err := c.read(ctx, s, "/users/fairlead-checks-its-settings", &struct{}{})
	if errors.Is(err, connectors.ErrDenied) {
		return nil
	}
	return err
}

func (c *connector) address(path string) string {
	return strings.TrimSuffix(c.cfg.Host, "/") + "/v3" + path
}

func notKeystone(status int) error {
	return connectors.StatusError(status, fmt.Sprintf("Keystone answered %d.", status), "Check the Keystone URL: it is the one before /v3.")
}
