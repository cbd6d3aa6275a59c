package store

import (
	"context"
	"fmt"
	"time"
)

// Device is one lasting grant, such as "kubectl on jane's laptop": a family of refresh tokens. A user may have
// several devices with the same client.
type Device struct {
	ID       string
	UserID   string
	ClientID string
	// SignInID is the session that created the device. The device outlives it.
	SignInID      string
	Host          string
	Address       string
	Scopes        Strings
	AMR           Strings `gorm:"column:amr"`
	Nonce         string
	Authenticated Instant
	Created       Instant
	LastUsed      Instant
	IdleExpires   Instant
	Expires       Instant
	Revoked       Instant
	// Reason is one of the Revoked constants.
	Reason string
}

// The reasons for revoking a device.
const (
	RevokedByUser     = "revoked_by_user"
	RevokedByAdmin    = "revoked_by_admin"
	RevokedConsent    = "consent_withdrawn"
	RevokedPassword   = "password_changed"
	RevokedByClient   = "signed_out"
	RevokedReplay     = "refresh_token_replayed"
	RevokedCodeReplay = "code_replayed"
)

// Active reports whether the device may still get tokens.
func (d *Device) Active(now time.Time) bool {
	return d.Revoked == 0 && !d.IdleExpires.Passed(now) && !d.Expires.Passed(now)
}

// Device returns a device by id.
func (s *Store) Device(ctx context.Context, id string) (*Device, error) {
	var d Device
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(&d).Error; err != nil {
		return nil, fmt.Errorf("reading device: %w", translate(err))
	}
	return &d, nil
}

// Devices lists the active devices of a user, the last used first.
func (s *Store) Devices(ctx context.Context, userID string, now time.Time) ([]Device, error) {
	var rows []Device
	err := s.db.WithContext(ctx).
		Where("user_id = ? AND revoked = 0 AND idle_expires > ? AND expires > ?", userID, At(now), At(now)).
		Order("last_used DESC").Limit(maxList).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing devices: %w", translate(err))
	}
	return rows, nil
}
