package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Code is an authorization code. Only its hash is stored.
type Code struct {
	Hash          string
	ClientID      string
	UserID        string
	SignInID      string
	RedirectURI   string
	Scopes        Strings
	Nonce         string
	Challenge     string
	Host          string
	AMR           Strings `gorm:"column:amr"`
	Authenticated Instant
	Expires       Instant
	Used          Instant
	// DeviceID and AccessHash name the tokens that were issued for the code, so that a second use can revoke them
	// (RFC 6749 section 4.1.2).
	DeviceID   string
	AccessHash string
}

// CreateCode adds a code.
func (s *Store) CreateCode(ctx context.Context, row *Code) error {
	if err := s.db.WithContext(ctx).Create(row).Error; err != nil {
		return fmt.Errorf("creating code: %w", translate(err))
	}
	return nil
}

// Code finds a code by its text, whether used or not.
func (s *Store) Code(ctx context.Context, code string) (*Code, error) {
	var row Code
	if err := s.db.WithContext(ctx).Where("hash = ?", secret.Hash(code)).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading code: %w", translate(err))
	}
	return &row, nil
}

// Redemption holds the tokens issued for a code. Device and Refresh are nil when the client did not ask for offline
// access.
type Redemption struct {
	CodeHash string
	Access   AccessToken
	Device   *Device
	Refresh  *RefreshToken
}

// RedeemCode marks a code as used and stores the issued tokens. Exactly one of several concurrent callers gets
// true.
func (s *Store) RedeemCode(ctx context.Context, r Redemption, now time.Time) (bool, error) {
	return s.redeem(ctx, "UPDATE codes SET used = ?, device_id = ?, access_hash = ? WHERE hash = ? AND used = 0 AND expires > ?", r, now)
}

// redeem runs the conditional update that picks the winner, and stores the winner's tokens. No caller wins if the
// user or the session that approved the code has ended.
func (s *Store) redeem(ctx context.Context, use string, r Redemption, now time.Time) (won bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		if won, err = mayMintFor(tx, r.Access.UserID, r.Access.SignInID, now); err != nil || !won {
			return err
		}
		res := tx.Exec(use, At(now), r.Access.DeviceID, r.Access.Hash, r.CodeHash, At(now))
		won = res.RowsAffected == 1
		if res.Error != nil || !won {
			return res.Error
		}
		return createGrant(tx, r)
	})
	if err != nil {
		return false, fmt.Errorf("redeeming code: %w", err)
	}
	return won, nil
}

func createGrant(tx *gorm.DB, r Redemption) error {
	if r.Device != nil {
		if err := tx.Create(r.Device).Error; err != nil {
			return err
		}
		if err := tx.Create(r.Refresh).Error; err != nil {
			return err
		}
	}
	return tx.Create(&r.Access).Error
}

// RevokeIssued revokes the tokens issued for a code or device code that is presented a second time (RFC 6749
// section 4.1.2).
func (s *Store) RevokeIssued(ctx context.Context, userID, deviceID, accessHash string, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if deviceID != "" {
			if _, _, err := end(tx, Ending{Scope: EndDevice, UserID: userID, ID: deviceID, Reason: RevokedCodeReplay}, now); err != nil {
				return err
			}
		}
		return tx.Exec("UPDATE access_tokens SET revoked = ? WHERE hash = ? AND revoked = 0", At(now), accessHash).Error
	})
	if err != nil {
		return fmt.Errorf("revoking code: %w", err)
	}
	return nil
}
