package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm/clause"
)

// Consent records the scopes that a user has allowed a client.
type Consent struct {
	UserID   string `gorm:"primaryKey"`
	ClientID string `gorm:"primaryKey"`
	Scopes   Strings
	Granted  Instant
}

// Consented reports whether the user has allowed the client all of these scopes.
func (s *Store) Consented(ctx context.Context, userID, clientID string, scopes []string) (bool, error) {
	var rows []Consent
	err := s.db.WithContext(ctx).Where("user_id = ? AND client_id = ?", userID, clientID).Limit(1).Find(&rows).Error
	if err != nil {
		return false, fmt.Errorf("reading consent: %w", translate(err))
	}
	if len(rows) == 0 {
		return false, nil
	}
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(rows[0].Scopes, scope) }), nil
}

// Consents lists the consents of a user, the newest first.
func (s *Store) Consents(ctx context.Context, userID string) ([]Consent, error) {
	var rows []Consent
	err := s.db.WithContext(ctx).Where("user_id = ?", userID).Order("granted DESC, client_id").Limit(maxList).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing consents: %w", translate(err))
	}
	return rows, nil
}

// GrantConsent stores a consent. It replaces an earlier one for the same client.
func (s *Store) GrantConsent(ctx context.Context, userID, clientID string, scopes []string, now time.Time) error {
	row := Consent{UserID: userID, ClientID: clientID, Scopes: scopes, Granted: At(now)}
	err := s.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("remembering consent: %w", translate(err))
	}
	return nil
}
