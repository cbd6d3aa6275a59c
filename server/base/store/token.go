package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// RefreshToken is one token of a device's chain. Only its hash is stored.
type RefreshToken struct {
	Hash     string
	DeviceID string
	Created  Instant
	Expires  Instant
	// Used is when the token was exchanged for its successor.
	Used          Instant
	SuccessorHash string
	// SealedAnswer is the response to the first use, encrypted under the token itself. Any replica can send the
	// same response to a retry.
	SealedAnswer string
}

// AccessToken authorizes requests to the provider's own endpoints only. Only its hash is stored.
type AccessToken struct {
	Hash          string
	UserID        string
	ClientID      string
	DeviceID      string
	SignInID      string
	Scopes        Strings
	AMR           Strings `gorm:"column:amr"`
	Authenticated Instant
	Expires       Instant
	Revoked       Instant
}

// Active reports whether the token is neither revoked nor expired.
func (t *AccessToken) Active(now time.Time) bool { return t.Revoked == 0 && !t.Expires.Passed(now) }

// AccessToken finds a token by its text.
func (s *Store) AccessToken(ctx context.Context, token string) (*AccessToken, error) {
	var row AccessToken
	if err := s.db.WithContext(ctx).Where("hash = ?", secret.Hash(token)).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading access token: %w", translate(err))
	}
	return &row, nil
}

// CreateAccessToken adds a token. The error's kind is Denied if the user is disabled.
func (s *Store) CreateAccessToken(ctx context.Context, row *AccessToken) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := demandMint(tx, row.UserID); err != nil {
			return err
		}
		return tx.Create(row).Error
	})
	if err != nil {
		return fmt.Errorf("creating access token: %w", err)
	}
	return nil
}

// RevokeAccessToken revokes one access token. It reports false if the token was revoked before.
func (s *Store) RevokeAccessToken(ctx context.Context, hash string, now time.Time) (bool, error) {
	rows, err := s.exec(ctx, "UPDATE access_tokens SET revoked = ? WHERE hash = ? AND revoked = 0", At(now), hash)
	if err != nil {
		return false, fmt.Errorf("revoking access token: %w", err)
	}
	return rows == 1, nil
}

// RefreshToken finds a token by its text, with its device.
func (s *Store) RefreshToken(ctx context.Context, token string) (*RefreshToken, *Device, error) {
	var row RefreshToken
	if err := s.db.WithContext(ctx).Where("hash = ?", secret.Hash(token)).Take(&row).Error; err != nil {
		return nil, nil, fmt.Errorf("reading refresh token: %w", translate(err))
	}
	device, err := s.Device(ctx, row.DeviceID)
	if err != nil {
		return nil, nil, err
	}
	return &row, device, nil
}

// SuccessorUsed reports whether the successor of a used token has been used as well.
func (s *Store) SuccessorUsed(ctx context.Context, t *RefreshToken) (bool, error) {
	var n int64
	err := s.db.WithContext(ctx).Model(&RefreshToken{}).Where("hash = ? AND used > 0", t.SuccessorHash).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("reading successor: %w", translate(err))
	}
	return n > 0, nil
}

// Rotation holds the rows that a refresh writes.
type Rotation struct {
	// Presented is the hash of the presented token, which becomes used.
	Presented string
	// Successor replaces the presented token.
	Successor RefreshToken
	// Access is the access token of the response.
	Access AccessToken
	// SealedAnswer is the response, encrypted under the presented token.
	SealedAnswer string
	// IdleExpires is the new idle expiry of the device.
	IdleExpires Instant
	// Event records the rotation, in the same transaction.
	Event audit.Event
}
