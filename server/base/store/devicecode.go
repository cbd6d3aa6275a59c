package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// DeviceCode is the sign-in request of a device without a browser (RFC 8628). Only the hashes of its two codes are
// stored.
type DeviceCode struct {
	Hash         string
	UserCodeHash string
	ClientID     string
	Scopes       Strings
	// Host is the host name that the device reports. Address is its network address.
	Host    string
	Address string
	Created Instant
	Expires Instant
	// IntervalSeconds is the least time between polls. NextPoll is when the next poll is allowed.
	IntervalSeconds int
	NextPoll        Instant
	// UserID and the fields below are set when a user has approved or denied the request.
	UserID        string
	SignInID      string
	AMR           Strings `gorm:"column:amr"`
	Authenticated Instant
	Approved      Instant
	Denied        Instant
	Used          Instant
	// DeviceID and AccessHash name the issued tokens, so that a second use can revoke them.
	DeviceID   string
	AccessHash string
}

// Open reports whether a user can still approve or deny the request.
func (d *DeviceCode) Open(now time.Time) bool {
	return d.Approved == 0 && d.Denied == 0 && !d.Expires.Passed(now)
}

// CreateDeviceCode adds a request. The error's kind is Conflict when the user
// code is taken.
func (s *Store) CreateDeviceCode(ctx context.Context, row *DeviceCode) error {
	if err := s.db.WithContext(ctx).Create(row).Error; err != nil {
		return fmt.Errorf("creating device code: %w", translate(err))
	}
	return nil
}

// DeviceCodeByUserCode finds a request by the hash of its user code.
func (s *Store) DeviceCodeByUserCode(ctx context.Context, hash string) (*DeviceCode, error) {
	return s.deviceCode(ctx, "user_code_hash = ?", hash)
}

// DeviceCode finds a request by the text of its device code, whether used or not.
func (s *Store) DeviceCode(ctx context.Context, code string) (*DeviceCode, error) {
	return s.deviceCode(ctx, "hash = ?", secret.Hash(code))
}

func (s *Store) deviceCode(ctx context.Context, where, value string) (*DeviceCode, error) {
	var row DeviceCode
	if err := s.db.WithContext(ctx).Where(where, value).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading device code: %w", translate(err))
	}
	return &row, nil
}

// slowDown is added to the interval after each poll that comes too early (RFC 8628 section 3.5).
const slowDown = 5

// PollDeviceCode records a poll and reports whether it came too early. An early poll makes the interval longer.
func (s *Store) PollDeviceCode(ctx context.Context, hash string, now time.Time) (early bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE device_codes SET next_poll = ? + interval_seconds * 1000 WHERE hash = ? AND next_poll <= ?", At(now), hash, At(now))
		early = res.RowsAffected == 0
		if res.Error != nil || !early {
			return res.Error
		}
		return tx.Exec("UPDATE device_codes SET interval_seconds = interval_seconds + ?, next_poll = ? + (interval_seconds + ?) * 1000 WHERE hash = ?",
			slowDown, At(now), slowDown, hash).Error
	})
	if err != nil {
		return false, fmt.Errorf("counting poll: %w", err)
	}
	return early, nil
}

// Approval is a user's approval of a device code.
type Approval struct {
	UserID        string
	SignInID      string
	AMR           Strings
	Authenticated Instant
}

// ApproveDeviceCode stores an approval. It reports false if the request was answered already or has expired.
func (s *Store) ApproveDeviceCode(ctx context.Context, hash string, a Approval, now time.Time) (bool, error) {
	rows, err := s.exec(ctx,
		"UPDATE device_codes SET approved = ?, user_id = ?, sign_in_id = ?, amr = ?, authenticated = ? "+
			"WHERE hash = ? AND approved = 0 AND denied = 0 AND expires > ?",
		At(now), a.UserID, a.SignInID, a.AMR, a.Authenticated, hash, At(now))
	if err != nil {
		return false, fmt.Errorf("approving device code: %w", err)
	}
	return rows == 1, nil
}

// DenyDeviceCode stores a denial, like ApproveDeviceCode.
func (s *Store) DenyDeviceCode(ctx context.Context, hash, userID string, now time.Time) (bool, error) {
	rows, err := s.exec(ctx,
		"UPDATE device_codes SET denied = ?, user_id = ? WHERE hash = ? AND approved = 0 AND denied = 0 AND expires > ?",
		At(now), userID, hash, At(now))
	if err != nil {
		return false, fmt.Errorf("denying device code: %w", err)
	}
	return rows == 1, nil
}

// RedeemDeviceCode is RedeemCode for an approved device code.
func (s *Store) RedeemDeviceCode(ctx context.Context, r Redemption, now time.Time) (bool, error) {
	return s.redeem(ctx, "UPDATE device_codes SET used = ?, device_id = ?, access_hash = ? WHERE hash = ? AND approved > 0 AND used = 0 AND expires > ?", r, now)
}
