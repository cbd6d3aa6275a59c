package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
)

// SignIn is a browser session. Only the hash of its cookie is stored.
type SignIn struct {
	// ID is the "sid" claim of tokens.
	ID            string
	CookieHash    string
	UserID        string
	ConnectorID   string
	AMR           Strings `gorm:"column:amr"`
	UserAgent     string
	Address       string
	Authenticated Instant
	LastSeen      Instant
	IdleExpires   Instant
	Expires       Instant
	Ended         Instant
}

// Active reports whether the session is neither ended nor expired.
func (s *SignIn) Active(now time.Time) bool {
	return s.Ended == 0 && !s.IdleExpires.Passed(now) && !s.Expires.Passed(now)
}

func notFound(message string) error { return errs.New(errs.NotFound, message) }

// CreateSignIn adds a session. The error's kind is Denied if the user is disabled, or refused by their upstream.
func (s *Store) CreateSignIn(ctx context.Context, row *SignIn) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := demandMint(tx, row.UserID); err != nil {
			return err
		}
		return tx.Create(row).Error
	})
	if err != nil {
		return fmt.Errorf("creating sign-in: %w", err)
	}
	return nil
}

// SignInByCookie finds a session by the hash of its cookie, even if it has ended. The error's kind is NotFound when
// there is none.
func (s *Store) SignInByCookie(ctx context.Context, hash string) (*SignIn, error) {
	var row SignIn
	if err := s.db.WithContext(ctx).Where("cookie_hash = ?", hash).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading sign-in: %w", translate(err))
	}
	return &row, nil
}

// SignIns lists the active sessions of a user, the newest first.
func (s *Store) SignIns(ctx context.Context, userID string, now time.Time) ([]SignIn, error) {
	var rows []SignIn
	err := s.db.WithContext(ctx).
		Where("user_id = ? AND ended = 0 AND idle_expires > ? AND expires > ?", userID, At(now), At(now)).
		Order("authenticated DESC").Limit(maxList).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing sign-ins: %w", translate(err))
	}
	return rows, nil
}

// maxList bounds the lists of a user's own sessions, devices and consents.
const maxList = 200

// TouchSignIn extends the idle timeout.
func (s *Store) TouchSignIn(ctx context.Context, id string, seen, idleExpires time.Time) error {
	err := s.db.WithContext(ctx).Model(&SignIn{}).Where("id = ? AND ended = 0", id).
		Updates(map[string]any{"last_seen": At(seen), "idle_expires": At(idleExpires)}).Error
	if err != nil {
		return fmt.Errorf("touching sign-in: %w", translate(err))
	}
	return nil
}

// RenewSignIn stores another authentication of the user of an active session, with a new cookie. The session keeps its
// id, and with it the codes, tokens and sign-outs of other clients. It reports false if the session has ended.
func (s *Store) RenewSignIn(ctx context.Context, row *SignIn) (renewed bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		if err := demandMint(tx, row.UserID); err != nil {
			return err
		}
		res := tx.Model(&SignIn{}).Where("id = ? AND user_id = ? AND ended = 0", row.ID, row.UserID).
			Select("cookie_hash", "amr", "user_agent", "address", "authenticated", "last_seen", "idle_expires", "expires").Updates(row)
		renewed = res.RowsAffected == 1
		return res.Error
	})
	if err != nil {
		return false, fmt.Errorf("renewing sign-in: %w", err)
	}
	return renewed, nil
}
