package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/settings"
	"github.com/fairlead-auth/fairlead/server/store"
)

// tokenPrefix lets scanners find a leaked token.
const tokenPrefix = "fla_"

// MaxTokenLife is how long a token for programs may last.
const MaxTokenLife = 366 * 24 * time.Hour

// APITokens lists the tokens for programs.
func (a *Admin) APITokens(ctx context.Context, c Caller) ([]store.APIToken, error) {
	if err := a.may(ctx, c, WriteTokens, "list tokens"); err != nil {
		return nil, err
	}
	return a.Store.APITokens(ctx, a.Now())
}

// CreateAPIToken makes a token for a program, which acts as the caller within the
// scopes. It is returned this once.
func (a *Admin) CreateAPIToken(ctx context.Context, c Caller, name string, scopes []string, life time.Duration) (string, error) {
	if err := a.may(ctx, c, WriteTokens, "create token"); err != nil {
		return "", err
	}
	var problems []string
	if name = strings.TrimSpace(name); name == "" || len(name) > 100 {
		problems = append(problems, "Name the program that will use it, in at most 100 characters.")
	}
	if len(scopes) == 0 {
		problems = append(problems, "Choose what it may do.")
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), Scope(s)) {
			problems = append(problems, fmt.Sprintf("There is no scope %q.", s))
		}
	}
	if life <= 0 || life > MaxTokenLife {
		problems = append(problems, "It may last at most a year.")
	}
	if c.User == nil {
		problems = append(problems, "A token belongs to a person: make it in the pages.")
	}
	if len(problems) > 0 {
		return "", errs.New(errs.Invalid, strings.Join(problems, " "))
	}
	token, now := tokenPrefix+secret.Token().Reveal(), a.Now()
	row := &store.APIToken{Hash: secret.Hash(token), Name: name, Scopes: scopes, UserID: c.User.ID, Created: store.At(now), Expires: store.At(now.Add(life))}
	if err := a.Store.CreateAPIToken(ctx, row); err != nil {
		return "", err
	}
	event := c.event(audit.APITokenCreated)
	event.TokenID, event.Detail = row.ID, name+": "+strings.Join(scopes, " ")
	a.Audit.Record(ctx, event)
	return token, nil
}

// RevokeAPIToken ends a token.
func (a *Admin) RevokeAPIToken(ctx context.Context, c Caller, id string) error {
	if err := a.may(ctx, c, WriteTokens, "revoke token "+id); err != nil {
		return err
	}
	if err := a.Store.RevokeAPIToken(ctx, id, a.Now()); err != nil {
		return err
	}
	event := c.event(audit.APITokenRevoked)
	event.Detail = id
	a.Audit.Record(ctx, event)
	return nil
}

// Authenticate returns who comes with a token. The error's kind is
// Unauthenticated.
func (a *Admin) Authenticate(ctx context.Context, token, address string) (Caller, error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return Caller{}, errs.New(errs.Unauthenticated, "Send a token: Authorization: Bearer fla_….")
	}
	row, err := a.Store.APITokenByHash(ctx, secret.Hash(token), a.Now())
	if err != nil {
		return Caller{}, err
	}
	user, err := a.Store.User(ctx, row.UserID)
	if err != nil {
		return Caller{}, err
	}
	return Caller{User: user, Token: row, Address: address}, nil
}

// AddClientSecret makes another secret for a client, and returns it this once. The
// old ones stay good until they are removed.
func (a *Admin) AddClientSecret(ctx context.Context, c Caller, id string) (string, error) {
	token := secret.Token().Reveal()
	return token, a.changeSecrets(ctx, c, id, "adds a secret", func(hashes []any) []any { return append(hashes, secret.Hash(token)) })
}

// CreateClient makes a client and, when it needs one and brings no keys, its first
// secret, which is returned this once.
func (a *Admin) CreateClient(ctx context.Context, c Caller, d Draft) (*store.Revision, string, error) {
	token := ""
	d.Doc = d.Doc.Clone()
	if d.Doc.Get("public") != true && d.Doc.Text("keys") == "" {
		token = secret.Token().Reveal()
		d.Doc["secretHashes"] = []any{secret.Hash(token)}
	}
	r, err := a.Apply(ctx, c, d)
	return r, token, err
}

// RemoveClientSecret removes a secret by the beginning of its hash.
func (a *Admin) RemoveClientSecret(ctx context.Context, c Caller, id, hash string) error {
	removed := false
	err := a.changeSecrets(ctx, c, id, "removes a secret", func(hashes []any) []any {
		return slices.DeleteFunc(hashes, func(h any) bool {
			text, _ := h.(string)
			gone := hash != "" && strings.HasPrefix(text, hash)
			removed = removed || gone
			return gone
		})
	})
	if err == nil && !removed {
		return errs.New(errs.NotFound, "This secret has been removed already.")
	}
	return err
}

func (a *Admin) changeSecrets(ctx context.Context, c Caller, id, reason string, change func([]any) []any) error {
	if err := a.mayWrite(ctx, c, "change secrets of client "+id); err != nil {
		return err
	}
	set, err := a.Store.Configured(ctx)
	if err != nil {
		return err
	}
	e, found := find(settings.Documents(set)[settings.Clients], id)
	if !found {
		return errs.New(errs.NotFound, "There is no client "+id+" any more.")
	}
	doc := e.Doc.Clone()
	hashes, _ := doc["secretHashes"].([]any)
	doc["secretHashes"] = change(slices.Clone(hashes))
	_, err = a.apply(ctx, c, Draft{Kind: settings.Clients, ID: id, Doc: doc, Version: Version(e.Doc), Reason: reason})
	return err
}

// ClientSecret is a secret of a client, without itself.
type ClientSecret struct {
	// Hash is the beginning of its hash, enough to tell it apart.
	Hash     string
	LastUsed time.Time
}

// hashShown is how much of a hash is shown.
const hashShown = 12

// ClientSecrets lists a client's secrets.
func (a *Admin) ClientSecrets(ctx context.Context, c Caller, id string) ([]ClientSecret, error) {
	if err := a.may(ctx, c, ReadSettings, "list secrets of client "+id); err != nil {
		return nil, err
	}
	client, err := a.Store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []ClientSecret
	for _, hash := range client.SecretHashes {
		used, err := a.Store.LastUse(ctx, store.SecretUse(id, hash))
		if err != nil {
			return nil, err
		}
		list = append(list, ClientSecret{Hash: hash[:min(hashShown, len(hash))], LastUsed: used})
	}
	return list, nil
}

// RefuseStranger records that somebody without a good token asked for something,
// and returns the error.
func (a *Admin) RefuseStranger(ctx context.Context, address, what string, err error) error {
	a.Audit.Mention(ctx, audit.Event{Name: audit.AdminRefused, Address: address, Reason: "no_good_token", Detail: what})
	return err
}

// RecordCrossSite records that another site sent a form to an admin page.
func (a *Admin) RecordCrossSite(ctx context.Context, address, what string) {
	a.Audit.Record(ctx, audit.Event{Name: audit.AdminRefused, Address: address, Reason: "cross_site", Detail: what})
}

// MayCall decides whether a program may ask for an operation at all. The operation
// decides once more.
func (a *Admin) MayCall(ctx context.Context, c Caller, scope Scope, what string) error {
	return a.may(ctx, c, scope, what)
}
