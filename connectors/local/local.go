// Package local signs in people whose accounts are in Fairlead's own database.
// It leaves to its Accounts where they are kept.
package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/password"
)

// Account is a local user.
type Account struct {
	ID           string
	Login        string
	Name         string
	Email        string
	Groups       []string
	PasswordHash string
	Disabled     bool
}

// Accounts is where local users are kept. An unknown account is an error of
// kind NotFound.
type Accounts interface {
	AccountByLogin(ctx context.Context, login string) (Account, error)
	AccountByID(ctx context.Context, id string) (Account, error)
	// RenewPasswordHash replaces a hash by another one of the same password. It changes nothing if the account has
	// another hash by now.
	RenewPasswordHash(ctx context.Context, id, old, renewed string) error
}

// Type describes the connector.
func Type(hasher *password.Hasher) connectors.Type {
	return connectors.Type{
		Name: "local", Icon: "people", Label: "Local users", About: "Accounts that are kept here. For the few who are nowhere else.", Can: []string{"groups", "refresh"},
		Config: func() connectors.Config { return &Config{hasher: hasher} },
	}
}

// Config has no settings: the users are kept elsewhere.
type Config struct{ hasher *password.Hasher }

// Validate finds nothing.
func (c *Config) Validate() []connectors.Problem { return nil }

// Open returns the connector.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	accounts, ok := env.Accounts.(Accounts)
	if !ok {
		return nil, errors.New("the local connector needs accounts")
	}
	return &Connector{accounts: accounts, hasher: c.hasher, env: env}, nil
}

// Connector signs local users in.
type Connector struct {
	accounts Accounts
	hasher   *password.Hasher
	env      connectors.Env
}

var (
	_ connectors.Passworder = (*Connector)(nil)
	_ connectors.Refresher  = (*Connector)(nil)
)

// UsernameLabel says what the form asks for.
func (c *Connector) UsernameLabel() string { return "User name or e-mail" }

// Login checks the password. An unknown name, a switched-off account and a
// wrong password take the same time and give the same answer.
func (c *Connector) Login(ctx context.Context, username, pass string) (connectors.Identity, error) {
	account, err := c.accounts.AccountByLogin(ctx, username)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return connectors.Identity{}, err
	}
	// An unknown account has no hash; Check works as long on it all the same.
	result, err := c.hasher.Check(ctx, account.PasswordHash, pass)
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("checking password: %w", err)
	}
	if !result.Match || account.Disabled {
		return connectors.Identity{}, connectors.ErrBadCredentials
	}
	// The check takes a while. A password that was changed meanwhile is of no use any more.
	current, err := c.accounts.AccountByID(ctx, account.ID)
	if err != nil {
		return connectors.Identity{}, err
	}
	if current.PasswordHash != account.PasswordHash || current.Disabled {
		return connectors.Identity{}, connectors.ErrBadCredentials
	}
	if result.Stale {
		c.rehash(ctx, account, pass)
	}
	return account.Identity(), nil
}

// rehash brings an imported hash to today's kind. Failing to is no reason to
// keep the person out.
func (c *Connector) rehash(ctx context.Context, account Account, pass string) {
	hash, err := c.hasher.Hash(ctx, pass)
	if err == nil {
		err = c.accounts.RenewPasswordHash(ctx, account.ID, account.PasswordHash, hash)
	}
	if err != nil {
		c.env.Logger.WarnContext(ctx, "password hash not renewed", "account", account.ID, "error", err)
	}
}

// Refresh reads the account again.
func (c *Connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	account, err := c.accounts.AccountByID(ctx, last.Subject)
	if errs.Is(err, errs.NotFound) {
		return connectors.Identity{}, fmt.Errorf("the account was deleted: %w", connectors.ErrDenied)
	}
	if err != nil {
		return connectors.Identity{}, err
	}
	if account.Disabled {
		return connectors.Identity{}, fmt.Errorf("the account is disabled: %w", connectors.ErrDenied)
	}
	return account.Identity(), nil
}

// Identity returns what the connector says about the account.
func (a Account) Identity() connectors.Identity {
	return connectors.Identity{
		Subject: a.ID, Username: a.Login, Name: a.Name,
		// An admin entered the address: that is all the proof there is.
		Email: a.Email, EmailVerified: a.Email != "", Groups: a.Groups,
	}
}
