package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/internal/errs"
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

// SetLocalUserDisabled disables or enables an account. Disabling ends what its user holds. The error's kind is NotFound
// when no account has this login.
func (s *Store) SetLocalUserDisabled(ctx context.Context, login string, disabled bool, now time.Time) error {
	return s.changeLocalUser(ctx, login, map[string]any{"disabled": disabled}, func(tx *gorm.DB, u *LocalUser) error {
		// This counts as a change of the configuration, so proxies ask which of their users still have access.
		if err := tx.Exec("UPDATE config_state SET version = version + 1 WHERE id = 1").Error; err != nil || !disabled {
			return err
		}
		return endLocalUser(tx, u.ID, now)
	})
}

// SetLocalUserPassword replaces the password hash of an account by login name, and ends everything that the old password
// opened.
func (s *Store) SetLocalUserPassword(ctx context.Context, login, hash string, now time.Time) error {
	return s.changeLocalUser(ctx, login, map[string]any{"password_hash": hash}, func(tx *gorm.DB, u *LocalUser) error {
		return endLocalUser(tx, u.ID, now)
	})
}

// changeLocalUser changes columns of an account, and runs then in the same transaction.
func (s *Store) changeLocalUser(ctx context.Context, login string, set map[string]any, then func(tx *gorm.DB, u *LocalUser) error) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		var u LocalUser
		err := translate(tx.Where("login_key = ?", kubenames.Key(login)).Take(&u).Error)
		if errs.Is(err, errs.NotFound) {
			return notFound("There is no such local user. Run `fairlead local-user list` for the names.")
		}
		if err == nil {
			err = tx.Model(&u).Updates(set).Error
		}
		if err != nil {
			return err
		}
		return then(tx, &u)
	})
}

// endLocalUser ends what the user of a local account holds. A local connector may have any id.
func endLocalUser(tx *gorm.DB, accountID string, now time.Time) error {
	var users []string
	err := tx.Raw("SELECT u.id FROM users u JOIN connectors c ON c.id = u.connector_id WHERE c.type = ? AND u.subject = ?", localType, accountID).Scan(&users).Error
	for _, id := range users {
		if err == nil {
			_, _, err = end(tx, Ending{Scope: EndPerson, UserID: id, Reason: RevokedPassword}, now)
		}
	}
	return err
}

// localType is the type of the connectors that sign in local users.
const localType = "local"

// AccountByLogin implements local.Accounts.
func (s *Store) AccountByLogin(ctx context.Context, login string) (local.Account, error) {
	return s.account(ctx, "login_key = ?", kubenames.Key(login))
}

// AccountByID implements local.Accounts.
func (s *Store) AccountByID(ctx context.Context, id string) (local.Account, error) {
	return s.account(ctx, "id = ?", id)
}

// RenewPasswordHash implements local.Accounts.
func (s *Store) RenewPasswordHash(ctx context.Context, id, old, renewed string) error {
	_, err := s.exec(ctx, "UPDATE local_users SET password_hash = ? WHERE id = ? AND password_hash = ?", renewed, id, old)
	return err
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
