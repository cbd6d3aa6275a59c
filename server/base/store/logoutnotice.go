package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// LogoutNotice is something that a client is to be told: that the sign-in which
// it knows by this sid has ended.
type LogoutNotice struct {
	ID       string
	ClientID string
	UserID   string
	SID      string `gorm:"column:sid"`
	NextTry  Instant
	Tries    int
	Expires  Instant
}

// noticeLife is how long a client that can't be reached is tried.
const noticeLife = 24 * time.Hour

// signInClient is a client that wants to hear of the end of a sign-in.
type signInClient struct {
	SignInID string
	ClientID string
	SID      string `gorm:"column:sid"`
}

// TableName keeps gorm from guessing.
func (signInClient) TableName() string { return "sign_in_clients" }

// AddSignInClient notes that a client was told of a sign-in and wants to hear of
// its end.
func (s *Store) AddSignInClient(ctx context.Context, signInID, clientID string) error {
	row := signInClient{SignInID: signInID, ClientID: clientID, SID: signInID}
	err := s.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("remembering client: %w", translate(err))
	}
	return nil
}

// addNotices writes, with the end of sign-ins, what their clients are to be
// told: either both are stored or none.
func addNotices(tx *gorm.DB, signIns []string, now time.Time) error {
	return tx.Exec("INSERT INTO logout_notices (id, client_id, user_id, sid, next_try, tries, expires) "+
		"SELECT c.sid || '/' || c.client_id, c.client_id, s.user_id, c.sid, ?, 0, ? "+
		"FROM sign_in_clients c JOIN sign_ins s ON s.id = c.sign_in_id WHERE c.sign_in_id IN ? ON CONFLICT (id) DO NOTHING",
		At(now), At(now.Add(noticeLife)), signIns).Error
}

// ClaimLogoutNotices claims up to limit notices that are due, until retry: another
// replica does not see them before.
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

// PostponeLogoutNotice sets when a notice is tried again.
func (s *Store) PostponeLogoutNotice(ctx context.Context, id string, next time.Time) error {
	if _, err := s.exec(ctx, "UPDATE logout_notices SET next_try = ? WHERE id = ?", At(next), id); err != nil {
		return fmt.Errorf("postponing logout notice: %w", err)
	}
	return nil
}

// DeleteLogoutNotice removes a notice that was delivered or has nobody to go to.
func (s *Store) DeleteLogoutNotice(ctx context.Context, id string) error {
	if err := s.db.WithContext(ctx).Where("id = ?", id).Delete(&LogoutNotice{}).Error; err != nil {
		return fmt.Errorf("dropping logout notice: %w", translate(err))
	}
	return nil
}
