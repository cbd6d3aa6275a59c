package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/fairlead-auth/fairlead/internal/errs"
)

// KeyState is the state of a signing key.
type KeyState string

// The states of a key.
const (
	// KeyNext is published but does not sign yet.
	KeyNext KeyState = "next"
	// KeyActive signs.
	KeyActive KeyState = "active"
	// KeyRetired no longer signs. It stays published until its tokens have expired.
	KeyRetired KeyState = "retired"
	// KeyRevoked was revoked by an admin and is no longer published.
	KeyRevoked KeyState = "revoked"
)

// SigningKey is a key pair. The private key is encrypted.
type SigningKey struct {
	ID        string
	Algorithm string
	State     KeyState
	Private   string
	Public    string
	Created   Instant
	Activated Instant
	Retired   Instant
}

// keyContext binds an encrypted private key to its purpose.
func keyContext(id string) string { return "signing_keys.private:" + id }

// SealKey encrypts the private key for its row.
func (s *Store) SealKey(id string, pkcs8 []byte) string { return s.keyring.Seal(keyContext(id), pkcs8) }

// OpenKey decrypts the private key.
func (s *Store) OpenKey(k *SigningKey) ([]byte, error) {
	return s.keyring.Open(keyContext(k.ID), k.Private)
}

// SigningKeys lists all keys, the oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	var rows []SigningKey
	if err := s.db.WithContext(ctx).Order("created, id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing keys: %w", translate(err))
	}
	return rows, nil
}

// AddKey adds a key.
func (s *Store) AddKey(ctx context.Context, k *SigningKey) error {
	if err := s.db.WithContext(ctx).Create(k).Error; err != nil {
		return fmt.Errorf("adding key: %w", translate(err))
	}
	return nil
}

// ActivateKey makes the next key the signing key of its algorithm and retires the previous one, in one transaction. The
// error's kind is Conflict if the key is not next any more, because it was revoked or activated meanwhile.
func (s *Store) ActivateKey(ctx context.Context, k *SigningKey, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		// One activation at a time, so that each sees the key that the other one has activated.
		var rows []SigningKey
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id").Where("algorithm = ?", k.Algorithm).Order("id").Find(&rows).Error
		if err != nil {
			return err
		}
		err = tx.Exec("UPDATE signing_keys SET state = ?, retired = ? WHERE algorithm = ? AND state = ?",
			KeyRetired, At(now), k.Algorithm, KeyActive).Error
		if err != nil {
			return err
		}
		res := tx.Exec("UPDATE signing_keys SET state = ?, activated = ? WHERE id = ? AND state = ?", KeyActive, At(now), k.ID, KeyNext)
		if res.Error == nil && res.RowsAffected == 0 {
			return errs.New(errs.Conflict, "The key %s is no longer the next one: another replica has changed it. Try again.", k.ID)
		}
		return res.Error
	})
	if err != nil {
		return fmt.Errorf("activating key: %w", err)
	}
	return nil
}

// RevokeKey revokes a key and reports false if it signs, or is revoked already. Another key must sign in its place.
func (s *Store) RevokeKey(ctx context.Context, id string, now time.Time) (bool, error) {
	rows, err := s.exec(ctx, "UPDATE signing_keys SET state = ?, retired = ? WHERE id = ? AND state IN (?, ?)",
		KeyRevoked, At(now), id, KeyRetired, KeyNext)
	if err != nil {
		return false, fmt.Errorf("revoking key: %w", err)
	}
	return rows == 1, nil
}

// DeleteKey removes a retired or revoked key.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	err := s.db.WithContext(ctx).Where("id = ? AND state IN (?, ?)", id, KeyRetired, KeyRevoked).Delete(&SigningKey{}).Error
	if err != nil {
		return fmt.Errorf("deleting key: %w", translate(err))
	}
	return nil
}

// Lease is a lock that one replica at a time holds until it expires.
type Lease struct {
	Name    string `gorm:"primaryKey"`
	Holder  string
	Expires Instant
}

// AcquireLease takes or renews a lease until the given time. It reports whether this holder has it.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	rows, err := s.exec(ctx, "INSERT INTO leases (name, holder, expires) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "+
		"holder = excluded.holder, expires = excluded.expires WHERE leases.holder = excluded.holder OR leases.expires <= ?",
		name, holder, At(until), At(now))
	if err != nil {
		return false, fmt.Errorf("taking lease: %w", err)
	}
	return rows == 1, nil
}

// ReleaseLease releases a lease of this holder.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	err := s.db.WithContext(ctx).Where("name = ? AND holder = ?", name, holder).Delete(&Lease{}).Error
	if err != nil {
		return fmt.Errorf("giving lease back: %w", translate(err))
	}
	return nil
}
