package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Revocation is something that was taken away, for proxies to hear of.
type Revocation struct {
	Seq  int64
	Kind RevocationKind
	// Value is the id of the person, device or sign-in.
	Value  string
	Reason string
	// Time is when; tokens of later are good. Expires is when all of before have expired
	// by themselves.
	Time    Instant
	Expires Instant
}

// TableName keeps gorm from guessing.
func (Revocation) TableName() string { return "revocations" }

// RevocationKind says what was taken away.
type RevocationKind string

// The kinds. RevokedRights says that a person's groups have changed: whether they may
// still use a cluster has to be asked.
const (
	RevokedUser   RevocationKind = "user"
	RevokedDevice RevocationKind = "device"
	RevokedSignIn RevocationKind = "sign_in"
	RevokedRights RevocationKind = "rights"
)

// revocationLife is longer than any token for a cluster lives.
const revocationLife = 70 * time.Minute

// addRevocations writes, with what ends, what proxies are to hear: either both are
// stored or none. It comes last in its transaction: it takes the lock that orders them
// all, and nothing else may be waited for while that is held.
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

// revokeEvery is how often the same is noted again: programs that are refused ask again
// and again.
const revokeEvery = time.Minute

// Revoke notes that something was taken away that no other function ends.
func (s *Store) Revoke(ctx context.Context, kind RevocationKind, value, reason string, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		var lately int64
		err := tx.Model(&Revocation{}).Where("kind = ? AND value = ? AND reason = ? AND time > ?", kind, value, reason, At(now.Add(-revokeEvery))).Count(&lately).Error
		if err != nil || lately > 0 && kind != RevokedRights {
			return err
		}
		return addRevocations(tx, now, kind, reason, value)
	})
	if err != nil {
		return fmt.Errorf("noting revocation: %w", err)
	}
	return nil
}

// FeedPosition is how far things are: the number of the last revocation, and of the last
// change of what is configured.
type FeedPosition struct{ Seq, Version int64 }

// FeedPosition returns it.
func (s *Store) FeedPosition(ctx context.Context) (FeedPosition, error) {
	var mark FeedPosition
	err := s.db.WithContext(ctx).Raw("SELECT f.seq, c.version FROM feed_state f, config_state c WHERE f.id = 1 AND c.id = 1").Scan(&mark).Error
	if err != nil {
		return mark, fmt.Errorf("reading feed: %w", translate(err))
	}
	return mark, nil
}

// Revocations returns what was taken away after a number, in order.
func (s *Store) Revocations(ctx context.Context, after int64, now time.Time) ([]Revocation, error) {
	var rows []Revocation
	err := s.db.WithContext(ctx).Where("seq > ? AND expires > ?", after, At(now)).Order("seq").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading feed: %w", translate(err))
	}
	return rows, nil
}
