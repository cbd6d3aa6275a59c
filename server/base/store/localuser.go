package store

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// LocalUser is an account of the local connector, with its password hash.
type LocalUser struct {
	ID              string
	Login, LoginKey string
	DisplayName     string
	Email           string
	GroupNames      Strings
	PasswordHash    string
	// FileHash is the password hash from the configuration file. A hash that was upgraded at a sign-in stays until
	// the file has another FileHash.
	FileHash string
	Disabled bool
	Origin   `gorm:"embedded"`
	Created  Instant
}

var _ local.Accounts = (*Store)(nil)

// LocalUsers lists the accounts by login name.
func (s *Store) LocalUsers(ctx context.Context) ([]LocalUser, error) {
	var users []LocalUser
	if err := s.db.WithContext(ctx).Order("login_key").Find(&users).Error; err != nil {
		return nil, fmt.Errorf("listing local users: %w", translate(err))
	}
	return users, nil
}

// CreateLocalUser adds an account. The error's kind is Conflict when the login is taken, whatever its case.
func (s *Store) CreateLocalUser(ctx context.Context, u LocalUser, now time.Time) (*LocalUser, error) {
	u.ID, u.LoginKey, u.Created = secret.ID("loc"), kubenames.Key(u.Login), At(now)
	if err := s.db.WithContext(ctx).Create(&u).Error; err != nil {
		return nil, fmt.Errorf("creating local user: %w", translate(err))
	}
	return &u, nil
}

// SetLocalUserDisabled disables or enables an account. The error's kind is NotFound when no account has this login.
func (s *Store) SetLocalUserDisabled(ctx context.Context, login string, disabled bool) error {
	err := s.updateLocal(ctx, "login_key = ?", kubenames.Key(login), map[string]any{"disabled": disabled})
	if err != nil {
		return err
	}
	// Disabling counts as a change of the configuration, so proxies ask which of their users still have access.
	_, err = s.exec(ctx, "UPDATE config_state SET version = version + 1 WHERE id = 1")
	return err
}

// SetLocalUserPassword replaces the password hash of an account by login name.
func (s *Store) SetLocalUserPassword(ctx context.Context, login, hash string) error {
	return s.updateLocal(ctx, "login_key = ?", kubenames.Key(login), map[string]any{"password_hash": hash})
}

// AccountByLogin implements local.Accounts.
func (s *Store) AccountByLogin(ctx context.Context, login string) (local.Account, error) {
	return s.account(ctx, "login_key = ?", kubenames.Key(login))
}

// AccountByID implements local.Accounts.
func (s *Store) AccountByID(ctx context.Context, id string) (local.Account, error) {
	return s.account(ctx, "id = ?", id)
}

// SetPasswordHash implements local.Accounts.
func (s *Store) SetPasswordHash(ctx context.Context, id, hash string) error {
	return s.updateLocal(ctx, "id = ?", id, map[string]any{"password_hash": hash})
}

func (s *Store) account(ctx context.Context, where, arg string) (local.Account, error) {
	var u LocalUser
	if err := s.db.WithContext(ctx).Where(where, arg).Take(&u).Error; err != nil {
		return local.Account{}, fmt.Errorf("reading local user: %w", translate(err))
	}
	return local.Account{
		ID: u.ID, Login: u.Login, Name: u.DisplayName, Email: u.Email, Groups: u.GroupNames,
		PasswordHash: u.PasswordHash, Disabled: u.Disabled,
	}, nil
}

func (s *Store) updateLocal(ctx context.Context, where, arg string, set map[string]any) error {
	res := s.db.WithContext(ctx).Model(&LocalUser{}).Where(where, arg).Updates(set)
	if res.Error == nil && res.RowsAffected == 0 {
		return notFound("There is no such local user. Run `fairlead local-user list` for the names.")
	}
	return translate(res.Error)
}
