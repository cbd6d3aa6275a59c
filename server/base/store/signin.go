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

// CreateSignIn adds a session.
func (s *Store) CreateSignIn(ctx context.Context, row *SignIn) error {
	if err := s.db.WithContext(ctx).Create(row).Error; err != nil {
		return fmt.Errorf("creating sign-in: %w", translate(err))
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

// IsSignInActive reports whether a session is neither ended nor expired.
func (s *Store) IsSignInActive(ctx context.Context, id string, now time.Time) (bool, error) {
	var live int64
	err := s.db.WithContext(ctx).Model(&SignIn{}).Where("id = ? AND ended = 0 AND idle_expires > ? AND expires > ?", id, At(now), At(now)).Count(&live).Error
	if err != nil {
		return false, fmt.Errorf("looking for a sign-in: %w", translate(err))
	}
	return live == 1, nil
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

// ReplaceSignIn ends a session and starts another one for the same user. Clients that asked to be notified of the
// end of the first get notified of the end of the second.
func (s *Store) ReplaceSignIn(ctx context.Context, old string, row *SignIn, now time.Time) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(row).Error; err != nil {
			return err
		}
		if err := tx.Exec("UPDATE sign_in_clients SET sign_in_id = ? WHERE sign_in_id = ?", row.ID, old).Error; err != nil {
			return err
		}
		_, err := endSignIns(tx, now, "id = ?", old) // the user stays signed in
		return err
	})
	if err != nil {
		return fmt.Errorf("replacing sign-in: %w", err)
	}
	return nil
}

// EndSignIn ends a session of this user, revokes its tokens without a device, and stores the logout notices. It
// reports false if the session has ended already or belongs to another user.
func (s *Store) EndSignIn(ctx context.Context, userID, id string, now time.Time) (ended bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		ids, err := endSignIns(tx, now, "id = ? AND user_id = ?", id, userID)
		if ended = len(ids) == 1; err != nil {
			return err
		}
		return addRevocations(tx, now, RevokedSignIn, "", ids...)
	})
	if err != nil {
		return false, fmt.Errorf("ending sign-in: %w", err)
	}
	return ended, nil
}

// endSignIns ends the active sessions that a condition selects and returns their ids. The update runs first: it
// decides which of several concurrent callers ends them.
func endSignIns(tx *gorm.DB, now time.Time, where string, args ...any) ([]string, error) {
	var ids []string
	err := tx.Raw("UPDATE sign_ins SET ended = ? WHERE ended = 0 AND "+where+" RETURNING id", append([]any{At(now)}, args...)...).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if err := addNotices(tx, ids, now); err != nil {
		return nil, err
	}
	err = tx.Exec("UPDATE access_tokens SET revoked = ? WHERE device_id = '' AND revoked = 0 AND sign_in_id IN ?", At(now), ids).Error
	return ids, err
}
