package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
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

// RevokeDevice revokes a device of this user and its tokens. It reports whether the device was active.
func (s *Store) RevokeDevice(ctx context.Context, userID, id, reason string, now time.Time) (bool, error) {
	var revoked bool
	err := s.tx(ctx, func(tx *gorm.DB) error {
		var mine int64
		if err := tx.Model(&Device{}).Where("id = ? AND user_id = ?", id, userID).Count(&mine).Error; err != nil || mine == 0 {
			return err
		}
		var err error
		revoked, err = revokeDevice(tx, id, reason, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("revoking device: %w", err)
	}
	return revoked, nil
}

func revokeDevice(tx *gorm.DB, id, reason string, now time.Time) (bool, error) {
	res := tx.Exec("UPDATE devices SET revoked = ?, reason = ? WHERE id = ? AND revoked = 0", At(now), reason, id)
	if res.Error != nil || res.RowsAffected == 0 {
		return false, res.Error
	}
	if err := tx.Exec("UPDATE access_tokens SET revoked = ? WHERE device_id = ? AND revoked = 0", At(now), id).Error; err != nil {
		return false, err
	}
	return true, addRevocations(tx, now, RevokedDevice, reason, id)
}

// RevokeDevices revokes a user's devices with a client, or all of them if clientID is empty, with their tokens. It
// returns the ids of those that were active.
func (s *Store) RevokeDevices(ctx context.Context, userID, clientID, reason string, now time.Time) (ended []string, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		mine, args := "user_id = ?", []any{userID}
		if clientID != "" {
			mine, args = "user_id = ? AND client_id = ?", []any{userID, clientID}
		}
		ended = nil
		err := tx.Raw("UPDATE devices SET revoked = ?, reason = ? WHERE revoked = 0 AND "+mine+" RETURNING id",
			append([]any{At(now), reason}, args...)...).Scan(&ended).Error
		if err != nil {
			return err
		}
		hanging := "" // when a client loses its consent, also revoke its tokens without a device
		if clientID == "" {
			hanging = " AND device_id <> ''"
		}
		err = tx.Exec("UPDATE access_tokens SET revoked = ? WHERE revoked = 0 AND "+mine+hanging, append([]any{At(now)}, args...)...).Error
		if err != nil {
			return err
		}
		return addRevocations(tx, now, RevokedDevice, reason, ended...)
	})
	if err != nil {
		return nil, fmt.Errorf("revoking devices: %w", err)
	}
	return ended, nil
}
