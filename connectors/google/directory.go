package google

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/connectors/rest"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// directoryScope lets a service account read who is in which group (Admin SDK).
const directoryScope = "https://www.googleapis.com/auth/admin.directory.group.readonly"

const directoryURL = "https://admin.googleapis.com/admin/directory/v1/groups"

// serviceAccount is what is used of a service account's key file.
type serviceAccount struct {
	Type     string `json:"type"`
	Email    string `json:"client_email"`
	Key      string `json:"private_key"`
	KeyID    string `json:"private_key_id"`
	TokenURI string `json:"token_uri"`
}

// directory reads groups of Workspace, in the name of an admin.
type directory struct {
	tokens oauth2.TokenSource
	client *http.Client
}

func (c *Config) account() (serviceAccount, error) {
	var account serviceAccount
	err := json.Unmarshal([]byte(c.ServiceAccount.Reveal()), &account)
	if err != nil || account.Type != "service_account" || account.Email == "" || account.Key == "" {
		return account, errors.New("must be the JSON key of a service account. Paste the whole file") // the cause could show the key
	}
	return account, nil
}

// directory returns nil when no service account is set: then there are no groups.
func (c *Config) directory(env connectors.Env) (*directory, error) {
	if c.ServiceAccount.Empty() {
		return nil, nil //nolint:nilnil // no directory is no fault
	}
	account, err := c.account()
	if err != nil {
		return nil, err
	}
	client := probe.Client(env, "")
	cfg := jwt.Config{
		Email: account.Email, PrivateKey: []byte(account.Key), PrivateKeyID: account.KeyID, Subject: c.AdminEmail, Scopes: []string{directoryScope}, TokenURL: tokenURL,
	}
	// The source outlives the request that needed it first.
	return &directory{client: client, tokens: cfg.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, client))}, nil
}

// tokenURL is fixed. The key file names one too, but its author could collect
// assertions that are signed with the key.
const tokenURL = "https://oauth2.googleapis.com/token"

// groups returns the addresses of the groups that a user is a direct member of. The
// user is named by id or address. The id stays when the address changes.
func (d *directory) groups(ctx context.Context, person string) ([]string, error) {
	var names []string
	for page := ""; ; {
		answer, err := d.ask(ctx, url.Values{"userKey": {person}, "maxResults": {"200"}, "pageToken": {page}})
		if err != nil {
			return nil, err
		}
		for _, g := range answer.Groups {
			names = append(names, g.Email)
		}
		if len(names) > connectors.MaxGroups { // a cut list could miss an allowed group
			return nil, connectors.NewError(connectors.OutcomeUnusableIdentity, nil, fmt.Sprintf("The account is in more than %d groups.", connectors.MaxGroups), "Ask an admin of Workspace to remove it from some.")
		}
		if page = answer.Next; page == "" {
			slices.Sort(names)
			return names, nil
		}
	}
}

type groupPage struct {
	Groups []struct {
		Email string `json:"email"`
	} `json:"groups"`
	Next string `json:"nextPageToken"`
}

func (d *directory) ask(ctx context.Context, query url.Values) (groupPage, error) {
	token, err := d.tokens.Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return groupPage{}, connectors.StatusError(refused.Response.StatusCode, fmt.Sprintf("Google refused the service account (%s).", kubenames.SanitizeLine(refused.ErrorCode, 60)),
			"Under domain-wide delegation allow its client ID the scope "+directoryScope+", and check the admin’s address.")
	}
	if err != nil {
		return groupPage{}, fmt.Errorf("signing the service account in: %w", err)
	}
	answer, err := rest.Ask(ctx, d.client, rest.Request{
		Method: http.MethodGet, URL: directoryURL + "?" + query.Encode(), Header: http.Header{"Authorization": {"Bearer " + token.AccessToken}},
	})
	if err != nil {
		return groupPage{}, fmt.Errorf("reading groups: %w", err)
	}
	switch answer.Status {
	case http.StatusOK:
		var page groupPage
		return page, answer.Into(&page)
	case http.StatusNotFound:
		return groupPage{}, connectors.NewError(connectors.OutcomeDenied, nil, "The account is not in the Workspace directory.", "Ask an admin of Workspace whether it was deleted.")
	case http.StatusForbidden:
		return groupPage{}, connectors.NewError(connectors.OutcomeMisconfigured, nil, "Google does not let the service account read groups (403).", "Enable the Admin SDK API in its project, and check that the admin’s address is that of an admin.")
	}
	return groupPage{}, fmt.Errorf("reading groups: the answer of Google was %d", answer.Status)
}
