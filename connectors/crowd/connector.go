package crowd

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/rest"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// connector asks Crowd's user management interface
// (rest/usermanagement/1, "Crowd REST resources").
type connector struct {
	cfg    Config
	client *http.Client
}

var (
	_ connectors.Passworder = (*connector)(nil)
	_ connectors.Refresher  = (*connector)(nil)
	_ connectors.Lookuper   = (*connector)(nil)
)

// user is an account in Crowd. Key never changes and is never given to another account.
type user struct {
	Key         string `json:"key"`
	Name        string `json:"name"`
	DisplayName string `json:"display-name"`
	Email       string `json:"email"`
	Active      bool   `json:"active"`
}

// UsernameLabel implements connectors.Passworder.
func (c *connector) UsernameLabel() string { return cmp.Or(c.cfg.UsernamePrompt, "User name") }

// Login implements connectors.Passworder.
func (c *connector) Login(ctx context.Context, username, password string) (connectors.Identity, error) {
	if username == "" || password == "" {
		return connectors.Identity{}, connectors.ErrBadCredentials
	}
	answer, err := c.call(ctx, http.MethodPost, "/authentication", url.Values{"username": {username}}, map[string]string{"value": password})
	if err != nil {
		return connectors.Identity{}, err
	}
	// Crowd checks the account before the password. The answer must not tell a guesser
	// which accounts exist.
	if err := refusal(answer); err != nil {
		if errors.Is(err, connectors.ErrDenied) {
			err = fmt.Errorf("%s: %w", err.Error(), connectors.ErrBadCredentials)
		}
		return connectors.Identity{}, err
	}
	return c.person(ctx, answer)
}

// Refresh implements connectors.Refresher. Crowd finds people by their name, which may
// have changed; the key tells whether it is the same person.
func (c *connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	query := url.Values{"key": {last.Subject}}
	answer, err := c.call(ctx, http.MethodGet, "/user", query, nil)
	if err != nil {
		return connectors.Identity{}, err
	}
	if err := refusal(answer); err != nil {
		return connectors.Identity{}, err
	}
	return c.person(ctx, answer)
}

// Lookup implements connectors.Lookuper.
func (c *connector) Lookup(ctx context.Context, username string) (connectors.Lookup, error) {
	answer, err := c.call(ctx, http.MethodGet, "/user", url.Values{"username": {username}}, nil)
	if err != nil {
		return connectors.Lookup{}, err
	}
	if answer.Status == http.StatusNotFound {
		return connectors.Lookup{}, connectors.ErrBadCredentials
	}
	if err := refusal(answer); err != nil {
		return connectors.Lookup{}, err
	}
	id, err := c.person(ctx, answer)
	return connectors.Lookup{Identity: id, Attributes: map[string][]string{
		"key": {id.Subject}, "name": {id.Username}, "display-name": {id.Name}, "email": {id.Email}, "groups": id.Groups,
	}}, err
}

// person makes an identity of a user of Crowd.
func (c *connector) person(ctx context.Context, answer *rest.Answer) (connectors.Identity, error) {
	var u user
	if err := answer.Into(&u); err != nil {
		return connectors.Identity{}, err
	}
	if u.Key == "" || u.Name == "" {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Crowd's answer has no key or no name of the user.", "Update Crowd to 2.12 or newer.")
	}
	if !u.Active {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The account is not active in Crowd.", "Ask an admin of Crowd to activate it.")
	}
	groups, err := c.groups(ctx, u.Name)
	if err != nil {
		return connectors.Identity{}, err
	}
	return connectors.Identity{
		Subject: u.Key, Username: u.Name, Name: cmp.Or(u.DisplayName, u.Name), Email: u.Email, EmailVerified: u.Email != "" && c.cfg.ProviderVerifiesEmail, Groups: groups,
	}, nil
}

// groups returns the groups of a person, nested ones too.
func (c *connector) groups(ctx context.Context, name string) ([]string, error) {
	var names []string
	for from := 0; ; from += pageSize {
		page, err := c.groupPage(ctx, name, from)
		if err != nil {
			return nil, err
		}
		for _, g := range page {
			if len(c.cfg.Groups) == 0 || slices.Contains(c.cfg.Groups, g) {
				names = append(names, g)
			}
		}
		if len(page) < pageSize {
			break
		}
	}
	if len(c.cfg.Groups) > 0 && len(names) == 0 {
		return nil, connectors.NewError(connectors.OutcomeDenied, nil, "The account is in none of the groups that may sign in.", "Ask an admin to add it to one of them.")
	}
	slices.Sort(names)
	return names, nil
}

// pageSize is how many groups one request asks for.
const pageSize = 500

func (c *connector) groupPage(ctx context.Context, name string, from int) ([]string, error) {
	answer, err := c.call(ctx, http.MethodGet, "/user/group/nested", url.Values{"username": {name}, "start-index": {strconv.Itoa(from)}, "max-results": {strconv.Itoa(pageSize)}}, nil)
	if err != nil {
		return nil, err
	}
	if err := refusal(answer); err != nil {
		return nil, err
	}
	var list struct {
		Groups []struct {
			Name string `json:"name"`
		} `json:"groups"`
	}
	if err := answer.Into(&list); err != nil {
		return nil, err
	}
	names := make([]string, len(list.Groups))
	for i, g := range list.Groups {
		names[i] = g.Name
	}
	return names, nil
}

// call asks as the application. A refusal of the application is no answer about a
// person.
func (c *connector) call(ctx context.Context, method, path string, query url.Values, body any) (*rest.Answer, error) {
	credentials := base64.StdEncoding.EncodeToString([]byte(c.cfg.Application + ":" + c.cfg.Password.Reveal()))
	answer, err := rest.Ask(ctx, c.client, rest.Request{
		Method: method, URL: strings.TrimSuffix(c.cfg.BaseURL, "/") + "/rest/usermanagement/1" + path + "?" + query.Encode(),
		Header: http.Header{"Authorization": {"Basic " + credentials}}, Body: body,
	})
	if err != nil {
		return nil, fmt.Errorf("asking Crowd: %w", err)
	}
	switch answer.Status {
	case http.StatusUnauthorized:
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Crowd refused the application (401).", "Check the application’s name and password: they are not those of a person.")
	case http.StatusForbidden:
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Crowd does not take requests from this server (403).", "Add this server’s address to the application’s remote addresses in Crowd.")
	}
	return answer, nil
}

// refusal reads the reason that Crowd gives, when it does refuse.
func refusal(answer *rest.Answer) error {
	if answer.Status == http.StatusOK {
		return nil
	}
	var said struct {
		Reason string `json:"reason"`
	}
	if err := answer.Into(&said); err != nil {
		return connectors.StatusError(answer.Status, fmt.Sprintf("Crowd answered %d, and not as its REST interface would.", answer.Status), "Check the Crowd URL and its context path, such as /crowd.")
	}
	switch said.Reason {
	case "INVALID_USER_AUTHENTICATION":
		return connectors.ErrBadCredentials
	case "USER_NOT_FOUND", "INACTIVE_ACCOUNT":
		return connectors.NewError(connectors.OutcomeDenied, nil, "Crowd says "+said.Reason+" of the account.", "Ask an admin of Crowd whether the account is active.")
	case "EXPIRED_CREDENTIAL":
		return connectors.NewError(connectors.OutcomeSignInAgain, nil, "The password has expired in Crowd.", "Change it there.")
	}
	return connectors.StatusError(answer.Status, fmt.Sprintf("Crowd answered %d %s.", answer.Status, kubenames.SanitizeLine(said.Reason, 60)), "Check the Crowd URL, and Crowd's own log.")
}

// tryApplication checks the application's credentials: it asks for a user that can't
// exist.
func (c *connector) tryApplication(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, "/user", url.Values{"username": {"fairlead-checks-its-settings"}}, nil)
	if err != nil {
		return err
	}
	if err := refusal(answer); !errors.Is(err, connectors.ErrDenied) {
		return err
	}
	return nil
}
