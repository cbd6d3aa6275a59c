package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Link is a single-use URL, such as an invitation. The token itself is not stored.
type Link struct {
	Hash    string
	Purpose string
	// Subject is the account of the link, such as the id of the invited local user.
	Subject string
	Created Instant
	Expires Instant
	Used    Instant
}

// The purposes of links.
const (
	LinkSetup    = "setup"
	LinkRecovery = "recovery"
	LinkInvite   = "invite"
)

// CreateLink stores a link. It deletes earlier links with the same purpose and subject.
func (s *Store) CreateLink(ctx context.Context, l Link, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Exec("UPDATE links SET used = ? WHERE purpose = ? AND subject = ? AND used = 0", At(now), l.Purpose, l.Subject).Error
		if err != nil {
			return err
		}
		return tx.Create(&l).Error
	})
	if err != nil {
		return fmt.Errorf("creating link: %w", err)
	}
	return nil
}

// Link returns an unused link. The error's kind is NotFound when there is none.
func (s *Store) Link(ctx context.Context, purpose, hash string, now time.Time) (*Link, error) {
	var row Link
	err := s.db.WithContext(ctx).Where("hash = ? AND purpose = ? AND used = 0 AND expires > ?", hash, purpose, At(now)).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("reading link: %w", translate(err))
	}
	return &row, nil
}

// useLink marks a link as used. Exactly one of several concurrent callers succeeds.
func useLink(tx *gorm.DB, purpose, hash string, now time.Time) error {
	res := tx.Exec("UPDATE links SET used = ? WHERE hash = ? AND purpose = ? AND used = 0 AND expires > ?", At(now), hash, purpose, At(now))
	if res.Error == nil && res.RowsAffected == 0 {
		return errs.New(errs.Invalid, "This link is no longer valid: it was used, or it has expired. Ask for another.")
	}
	return res.Error
}

// RecoveryConnectorID is the connector id of users who signed in with a recovery account. No configured connector can have
// this id.
const RecoveryConnectorID = "break-glass"

// RecoveryAccount lets an admin sign in when no connector works.
type RecoveryAccount struct {
	ID              string
	Login, LoginKey string
	PasswordHash    string
	Created         Instant
	// Verified is the time of the last sign-in with the account.
	Verified Instant
}

// CreateRecoveryAccount spends a link and creates the account. If the login exists, the account gets new
// credentials, loses its second factors and everything that its user holds, and is enabled.
func (s *Store) CreateRecoveryAccount(ctx context.Context, purpose, hash string, a RecoveryAccount, f Factor) (*RecoveryAccount, error) {
	now := a.Created.Time()
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := useLink(tx, purpose, hash, now); err != nil {
			return err
		}
		var old RecoveryAccount
		a.LoginKey = kubenames.Key(a.Login)
		if err := tx.Where("login_key = ?", a.LoginKey).Limit(1).Find(&old).Error; err != nil {
			return err
		}
		if a.ID = old.ID; a.ID == "" {
			a.ID = secret.ID("rec")
		}
		if err := tx.Save(&a).Error; err != nil {
			return err
		}
		if err := tx.Where("owner = ?", a.ID).Delete(&Factor{}).Error; err != nil {
			return err
		}
		f.Owner = a.ID
		if err := s.addFactor(tx, f); err != nil {
			return err
		}
		return renewRecoveryUser(tx, a.ID, now)
	})
	if err != nil {
		return nil, fmt.Errorf("creating recovery account: %w", err)
	}
	return &a, nil
}

// renewRecoveryUser ends what the user of a recovery account holds, and enables the user.
func renewRecoveryUser(tx *gorm.DB, accountID string, now time.Time) error {
	var u User
	found := tx.Where("connector_id = ? AND subject = ?", RecoveryConnectorID, accountID).Limit(1).Find(&u)
	if found.Error != nil || found.RowsAffected == 0 {
		return found.Error
	}
	if err := tx.Model(&u).Update("disabled", false).Error; err != nil {
		return err
	}
	_, _, err := end(tx, Ending{Scope: EndPerson, UserID: u.ID, Reason: RevokedByAdmin}, now)
	return err
}

// RecoveryAccounts lists all recovery accounts by login name.
func (s *Store) RecoveryAccounts(ctx context.Context) ([]RecoveryAccount, error) {
	return list[RecoveryAccount](ctx, s, "login_key")
}

// RecoveryAccount finds a recovery account by login name.
func (s *Store) RecoveryAccount(ctx context.Context, login string) (*RecoveryAccount, error) {
	var row RecoveryAccount
	if err := s.db.WithContext(ctx).Where("login_key = ?", kubenames.Key(login)).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading recovery account: %w", translate(err))
	}
	return &row, nil
}

// RecordRecoverySignIn records a sign-in.
func (s *Store) RecordRecoverySignIn(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, "UPDATE recovery_accounts SET verified = ? WHERE id = ?", At(now), id)
	return err
}

// AcceptInvitation spends a link and sets the password of the invited local user, whose id the link names.
// Everything that the old password opened ends.
func (s *Store) AcceptInvitation(ctx context.Context, hash, accountID, passwordHash string, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := useLink(tx, LinkInvite, hash, now); err != nil {
			return err
		}
		res := tx.Exec("UPDATE local_users SET password_hash = ? WHERE id = ? AND NOT disabled", passwordHash, accountID)
		if res.Error == nil && res.RowsAffected == 0 {
			return notFound("The account no longer exists. Ask the admin who sent the invitation.")
		}
		if res.Error != nil {
			return res.Error
		}
		return endLocalUser(tx, accountID, now)
	})
	if err != nil {
		return fmt.Errorf("accepting invitation: %w", err)
	}
	return nil
}

// Factor is a second factor of an account.
type Factor struct {
	ID    string
	Owner string
	Kind  string
	Label string
	// Data is the secret or public key of the factor, encrypted at rest.
	Data string
	// LastStep prevents the reuse of a code: the time step of the last code (FactorTOTP), or the signature counter
	// (FactorPasskey).
	LastStep int64
	Created  Instant
	LastUsed Instant
}

// The kinds of factor.
const (
	FactorTOTP    = "totp"
	FactorPasskey = "passkey"
)

func factorContext(id string) string { return "factors.data:" + id }

func (s *Store) addFactor(tx *gorm.DB, f Factor) error {
	f.ID = secret.ID("fac")
	f.Data = s.keyring.Seal(factorContext(f.ID), []byte(f.Data))
	return tx.Create(&f).Error
}

// AddFactor encrypts and stores a factor.
func (s *Store) AddFactor(ctx context.Context, f Factor) error {
	if err := s.addFactor(s.db.WithContext(ctx), f); err != nil {
		return fmt.Errorf("adding factor: %w", translate(err))
	}
	return nil
}

// Factors lists an account's factors with decrypted data.
func (s *Store) Factors(ctx context.Context, owner string) ([]Factor, error) {
	var rows []Factor
	if err := s.db.WithContext(ctx).Where("owner = ?", owner).Order("created, id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing factors: %w", translate(err))
	}
	for i := range rows {
		plain, err := s.keyring.Open(factorContext(rows[i].ID), rows[i].Data)
		if err != nil {
			return nil, fmt.Errorf("opening factor: %w", err)
		}
		rows[i].Data = string(plain)
	}
	return rows, nil
}

// HasPasskeys reports whether any user of a connector has a passkey.
func (s *Store) HasPasskeys(ctx context.Context, connectorID string) (bool, error) {
	var n int64
	err := s.db.WithContext(ctx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM factors JOIN users ON users.id = factors.owner WHERE factors.kind = ? AND users.connector_id = ? LIMIT 1) AS found",
		FactorPasskey, connectorID).Scan(&n).Error
	if err != nil {
		return false, fmt.Errorf("looking for passkeys: %w", translate(err))
	}
	return n > 0, nil
}

// RemoveFactor deletes a factor of an account.
func (s *Store) RemoveFactor(ctx context.Context, owner, id string) error {
	n, err := s.exec(ctx, "DELETE FROM factors WHERE owner = ? AND id = ?", owner, id)
	if err == nil && n == 0 {
		return notFound("There is no such second factor. Reload the page.")
	}
	return err
}

// RecordFactorUse records the use of a factor without a step.
func (s *Store) RecordFactorUse(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, "UPDATE factors SET last_used = ? WHERE id = ?", At(now), id)
	return err
}

// ConsumeFactorStep records a use at a step, which must be later than the last one. It reports false for a code
// that was used before.
func (s *Store) ConsumeFactorStep(ctx context.Context, id string, step int64, now time.Time) (bool, error) {
	n, err := s.exec(ctx, "UPDATE factors SET last_step = ?, last_used = ? WHERE id = ? AND last_step < ?", step, At(now), id, step)
	return n == 1, err
}
