package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Revocation tells proxies about revoked access.
type Revocation struct {
	Seq  int64
	Kind RevocationKind
	// Value is the id of the user, device or session.
	Value  string
	Reason string
	// Time is the time of the revocation: tokens issued later are valid. Expires is when the last token from before
	// has expired.
	Time    Instant
	Expires Instant
}

// TableName implements gorm's Tabler, which would otherwise guess the name.
func (Revocation) TableName() string { return "revocations" }

// RevocationKind is the type of the revoked object.
type RevocationKind string

// The kinds. RightsChanged means that a user's groups have changed, so the proxy must ask whether the user still
// has access.
const (
	RevokedUser   RevocationKind = "user"
	RevokedDevice RevocationKind = "device"
	RevokedSignIn RevocationKind = "sign_in"
	RightsChanged RevocationKind = "rights"
)

// revocationLife is longer than the life of any cluster token.
const revocationLife = 70 * time.Minute

// addRevocations stores revocations in the same transaction as the change. It must come last in the transaction: it
// takes the lock that orders all revocations, and a transaction must not wait for anything else while it holds that
// lock.
func addRevocations(tx *gorm.DB, now time.Time, kind RevocationKind, reason string, values ...string) error {
	if len(values) == 0 {
		return nil
	}
	var last int64
	if err := tx.Raw("UPDATE feed_state SET seq = seq + ? WHERE id = 1 RETURNING seq", len(values)).Scan(&last).Error; err != nil {
		return err
	}
	rows := make([]Revocation, len(values))
	for i, value := range values {
		rows[i] = Revocation{
			Seq: last - int64(len(values)) + int64(i) + 1, Kind: kind, Value: value, Reason: reason, Time: At(now), Expires: At(now.Add(revocationLife)),
		}
	}
	return tx.CreateInBatches(rows, 100).Error
}

// FeedPosition holds the number of the last revocation, and of the last change of the configuration.
type FeedPosition struct{ Seq, Version int64 }

// FeedPosition returns the current position.
func (s *Store) FeedPosition(ctx context.Context) (FeedPosition, error) {
	var mark FeedPosition
	err := s.db.WithContext(ctx).Raw("SELECT f.seq, c.version FROM feed_state f, config_state c WHERE f.id = 1 AND c.id = 1").Scan(&mark).Error
	if err != nil {
		return mark, fmt.Errorf("reading feed: %w", translate(err))
	}
	return mark, nil
}

// Revocations returns the revocations with a higher number, in order.
func (s *Store) Revocations(ctx context.Context, after int64, now time.Time) ([]Revocation, error) {
	var rows []Revocation
	err := s.db.WithContext(ctx).Where("seq > ? AND expires > ?", after, At(now)).Order("seq").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading feed: %w", translate(err))
	}
	return rows, nil
}
