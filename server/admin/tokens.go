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
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// tokenPrefix lets secret scanners recognise a leaked token.
const tokenPrefix = "fla_"

// MaxTokenLife is the longest lifetime of an API token.
const MaxTokenLife = 366 * 24 * time.Hour

// APITokens lists the API tokens.
func (a *Admin) APITokens(ctx context.Context, c Caller) ([]store.APIToken, error) {
	if err := a.authorize(ctx, c, WriteTokens, "list tokens"); err != nil {
		return nil, err
	}
	return a.Store.APITokens(ctx, a.Now())
}

// CreateAPIToken creates an API token with the caller's rights, limited to the scopes, and returns it. The server
// cannot show it again.
func (a *Admin) CreateAPIToken(ctx context.Context, c Caller, name string, scopes []string, life time.Duration) (string, error) {
	if err := a.authorize(ctx, c, WriteTokens, "create token"); err != nil {
		return "", err
	}
	var problems []string
	if name = strings.TrimSpace(name); name == "" || len(name) > 100 {
		problems = append(problems, "The name must have 1 to 100 characters. Enter the name of the program that uses the token.")
	}
	if len(scopes) == 0 {
		problems = append(problems, "The token has no scopes. Choose at least one.")
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), Scope(s)) {
			problems = append(problems, fmt.Sprintf("There is no scope %q. Choose one of the list.", s))
		}
	}
	if life <= 0 || life > MaxTokenLife {
		problems = append(problems, "The lifetime is not valid. Choose at most one year.")
	}
	if c.User == nil {
		problems = append(problems, "A token belongs to a user, and the shell is none. Create the token in the admin pages.")
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

// RevokeAPIToken revokes a token.
func (a *Admin) RevokeAPIToken(ctx context.Context, c Caller, id string) error {
	if err := a.authorize(ctx, c, WriteTokens, "revoke token "+id); err != nil {
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

// Authenticate returns the caller of a token. The error's kind is Unauthenticated if the token is not valid, Denied if
// the upstream refuses its owner, and Unavailable if it can't be asked for too long.
func (a *Admin) Authenticate(ctx context.Context, token, address string) (Caller, error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return Caller{}, errs.New(errs.Unauthenticated, "The request has no API token. Send the header `Authorization: Bearer fla_…`.")
	}
	row, err := a.Store.APITokenByHash(ctx, secret.Hash(token), a.Now())
	if err != nil {
		return Caller{}, err
	}
	user, err := a.Upstream.RecheckUserByID(ctx, row.UserID)
	if err != nil {
		return Caller{}, err
	}
	return Caller{User: user, Token: row, Address: address}, nil
}

// RefuseUnauthenticated records a request without a valid token, and returns the error.
func (a *Admin) RefuseUnauthenticated(ctx context.Context, address, what string, err error) error {
	a.Audit.LogOnly(ctx, audit.Event{Name: audit.AdminRefused, Address: address, Reason: "no_good_token", Detail: what})
	return err
}

// RecordCrossSite records that another site has sent a form to an admin page.
func (a *Admin) RecordCrossSite(ctx context.Context, address, what string) {
	a.Audit.Record(ctx, audit.Event{Name: audit.AdminRefused, Address: address, Reason: "cross_site", Detail: what})
}

// CheckScope checks the scopes of a program's token. The operation checks its right as well.
func (a *Admin) CheckScope(ctx context.Context, c Caller, scope Scope, what string) error {
	return a.authorize(ctx, c, scope, what)
}
