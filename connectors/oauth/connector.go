package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/rest"
)

// connector signs people in with the authorization code flow (RFC 6749 section 4.1).
type connector struct {
	cfg         oauth2.Config
	userInfoURL string
	withoutPKCE bool
	client      *http.Client
	keys        keys
}

// keys are what the answer calls things.
type keys struct{ id, username, name, email, verified, groups string }

var (
	_ connectors.Redirecter = (*connector)(nil)
	_ connectors.Refresher  = (*connector)(nil)
)

// AuthURL implements connectors.Redirecter. What is kept is the PKCE verifier.
func (c *connector) AuthURL(_ context.Context, _, state string) (address string, kept []byte, err error) {
	if c.withoutPKCE {
		return c.cfg.AuthCodeURL(state), nil, nil
	}
	verifier := oauth2.GenerateVerifier()
	return c.cfg.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), []byte(verifier), nil
}

// Callback implements connectors.Redirecter.
func (c *connector) Callback(ctx context.Context, _ string, kept []byte, r *http.Request) (connectors.Identity, error) {
	q := r.URL.Query()
	if refusal := q.Get("error"); refusal != "" {
		return connectors.Identity{}, fmt.Errorf("the upstream answered %q: %w", refusal, connectors.ErrDenied)
	}
	var options []oauth2.AuthCodeOption
	if len(kept) > 0 {
		options = append(options, oauth2.VerifierOption(string(kept)))
	}
	token, err := c.cfg.Exchange(c.outside(ctx), q.Get("code"), options...)
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("redeeming the code: %w", err)
	}
	return c.ask(ctx, token)
}

// Refresh implements connectors.Refresher. When the upstream's token has ended and
// there is none to renew it with, nobody can be asked: the person stays as they were.
func (c *connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	var token oauth2.Token
	if err := json.Unmarshal(last.Data, &token); err != nil {
		return connectors.Identity{}, errors.New("reading the kept token: not readable") // the cause could show it
	}
	if !token.Valid() && token.RefreshToken == "" {
		return last, nil
	}
	fresh, err := c.cfg.TokenSource(c.outside(ctx), &token).Token()
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refusal.ErrorCode == "invalid_grant" {
		return connectors.Identity{}, fmt.Errorf("%w: %w", err, connectors.ErrDenied)
	}
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("renewing the token: %w", err)
	}
	return c.ask(ctx, fresh)
}

// outside tells the OAuth library which client to use.
func (c *connector) outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.client)
}

// ask reads who the token is about.
func (c *connector) ask(ctx context.Context, token *oauth2.Token) (connectors.Identity, error) {
	doc, err := c.read(ctx, token)
	if err != nil {
		return connectors.Identity{}, err
	}
	id, err := c.keys.identity(doc)
	if err != nil {
		return connectors.Identity{}, err
	}
	id.Data, err = json.Marshal(token)
	return id, err
}

func (c *connector) read(ctx context.Context, token *oauth2.Token) (map[string]any, error) {
	answer, err := rest.Ask(ctx, c.client, rest.Request{
		Method: http.MethodGet, URL: c.userInfoURL, Header: http.Header{"Authorization": {token.Type() + " " + token.AccessToken}},
	})
	if err != nil {
		return nil, fmt.Errorf("asking who signed in: %w", err)
	}
	switch answer.Status {
	case http.StatusOK:
		doc := map[string]any{}
		return doc, answer.Into(&doc)
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("the user info URL refused the token (401): %w", connectors.ErrDenied)
	}
	return nil, fmt.Errorf("the user info URL answered %d", answer.Status)
}

func (k keys) identity(doc map[string]any) (connectors.Identity, error) {
	id := connectors.Identity{
		Subject: text(find(doc, k.id)), Username: text(find(doc, k.username)), Name: text(find(doc, k.name)), Email: text(find(doc, k.email)),
		EmailVerified: text(find(doc, k.verified)) == "true", Groups: groups(find(doc, k.groups)),
	}
	if id.Subject == "" {
		return id, fmt.Errorf("the answer has no %q, which should be the person’s id", k.id)
	}
	// An address that nobody has verified may be somebody else's name.
	if id.Username == "" && id.EmailVerified {
		id.Username = id.Email
	}
	if id.Username == "" {
		return id, fmt.Errorf("the answer has neither %q nor a verified %q to call the person by: %w", k.username, k.email, connectors.ErrDenied)
	}
	return id, nil
}

// find returns the value of a key. A dot leads into an object, unless there is a key
// with the dot in it.
func find(doc map[string]any, key string) any {
	if value, ok := doc[key]; ok {
		return value
	}
	outer, inner, nested := strings.Cut(key, ".")
	object, ok := doc[outer].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return find(object, inner)
}

func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}

// groups are names, or objects with a name.
func groups(value any) []string {
	list, _ := value.([]any)
	var found []string
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			item = object["name"]
		}
		if name, ok := item.(string); ok && name != "" {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
