package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// LogoutNotice is a pending back-channel logout: a client must learn that the session with this sid has ended.
type LogoutNotice struct {
	ID       string
	ClientID string
	UserID   string
	SID      string `gorm:"column:sid"`
	NextTry  Instant
	Tries    int
	Expires  Instant
}

// noticeLife is how long delivery to an unreachable client is retried.
const noticeLife = 24 * time.Hour

// signInClient is a client to notify when a session ends.
type signInClient struct {
	SignInID string
	ClientID string
	SID      string `gorm:"column:sid"`
}

// TableName implements gorm's Tabler, which would otherwise guess the name.
func (signInClient) TableName() string { return "sign_in_clients" }

// AddSignInClient records that a client must be notified when a session ends.
func (s *Store) AddSignInClient(ctx context.Context, signInID, clientID string) error {
	row := signInClient{SignInID: signInID, ClientID: clientID, SID: signInID}
	err := s.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("remembering client: %w", translate(err))
	}
	return nil
}

// addNotices stores the notices in the same transaction that ends the sessions.
func addNotices(tx *gorm.DB, signIns []string, now time.Time) error {
	return tx.Exec("INSERT INTO logout_notices (id, client_id, user_id, sid, next_try, tries, expires) "+
		"SELECT c.sid || '/' || c.client_id, c.client_id, s.user_id, c.sid, ?, 0, ? "+
		"FROM sign_in_clients c JOIN sign_ins s ON s.id = c.sign_in_id WHERE c.sign_in_id IN ? ON CONFLICT (id) DO NOTHING",
		At(now), At(now.Add(noticeLife)), signIns).Error
}

// ClaimLogoutNotices claims up to limit notices that are due. Other replicas do not see them until retry.
func (s *Store) ClaimLogoutNotices(ctx context.Context, now, retry time.Time, limit int) ([]LogoutNotice, error) {
	var due, mine []LogoutNotice
	err := s.db.WithContext(ctx).Where("next_try <= ? AND expires > ?", At(now), At(now)).Order("next_try").Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("listing logout notices: %w", translate(err))
	}
	for _, n := range due {
		rows, err := s.exec(ctx, "UPDATE logout_notices SET next_try = ?, tries = tries + 1 WHERE id = ? AND next_try = ?", At(retry), n.ID, n.NextTry)
		if err != nil {
			return nil, fmt.Errorf("claiming logout notice: %w", err)
		}
		if rows == 1 {
			n.Tries++
			mine = append(mine, n)
		}
	}
	return mine, nil
}

// PostponeLogoutNotice sets the time of the next attempt.
func (s *Store) PostponeLogoutNotice(ctx context.Context, id string, next time.Time) error {
	if _, err := s.exec(ctx, "UPDATE logout_notices SET next_try = ? WHERE id = ?", At(next), id); err != nil {
		return fmt.Errorf("postponing logout notice: %w", err)
	}
	return nil
}

// DeleteLogoutNotice removes a notice that was delivered, or whose client no longer exists.
func (s *Store) DeleteLogoutNotice(ctx context.Context, id string) error {
	if err := s.db.WithContext(ctx).Where("id = ?", id).Delete(&LogoutNotice{}).Error; err != nil {
		return fmt.Errorf("dropping logout notice: %w", translate(err))
	}
	return nil
}
