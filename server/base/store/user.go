package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// User is a user of a connector, found by the connector and the upstream's unchangeable subject. It is never found
// by e-mail or login name.
type User struct {
	ID          string
	ConnectorID string
	Subject     string
	// KubeName is the user name in clusters: the connector's prefix and the login. NameKey is KubeName in lower
	// case, and unique.
	KubeName, NameKey string
	Login             string
	DisplayName       string
	Email             string
	EmailVerified     bool
	GroupNames        Strings
	// UpstreamData is the connector's data about the user, encrypted.
	UpstreamData string
	Disabled     bool
	Created      Instant
	LastSignIn   Instant
	// Checked is when the upstream last confirmed the user.
	Checked Instant
	// Refused is when the upstream refused the user, with RefusedReason. It is zero after the upstream has confirmed
	// the user again.
	Refused       Instant
	RefusedReason string
	// Retired is when the user's connector was deleted. A retired user is disabled, and no sign-in finds them.
	Retired Instant
}

// Blocked reports whether the user may do nothing: an admin has disabled them, or their upstream refuses them.
func (u *User) Blocked() bool { return u.Disabled || u.Refused != 0 }

// Label returns the display name.
func (u *User) Label() string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Login
}

// ResolvedIdentity is an identity from an upstream, with prefixes applied: see connectors.ResolveIdentity.
type ResolvedIdentity struct {
	ConnectorID string
	KubeName    string
	Identity    connectors.Identity
}

// User returns the user with this id. The error's kind is NotFound when there
// is none.
func (s *Store) User(ctx context.Context, id string) (*User, error) {
	var u User
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(&u).Error; err != nil {
		return nil, fmt.Errorf("reading user: %w", translate(err))
	}
	return &u, nil
}

// SignInUser creates or updates the user with this connector and subject. The error's kind is Conflict when another
// user has the name. An upstream may give a login to another person, who must not inherit the rights of the first.
func (s *Store) SignInUser(ctx context.Context, p ResolvedIdentity, now time.Time) (user *User, created bool, err error) {
	for range 2 { // two first sign-ins at the same time: the second finds the row of the first
		err = s.tx(ctx, func(tx *gorm.DB) error {
			user, created, err = s.upsert(tx, p, now)
			return err
		})
		if !errs.Is(err, errs.Conflict) {
			break
		}
	}
	if errs.Is(err, errs.Conflict) {
		return nil, false, errs.Wrap(errs.Conflict, err,
			"The name %s belongs to another account that signed in before. Ask an admin to remove the old account.", p.KubeName)
	}
	return user, created, err
}

func (s *Store) upsert(tx *gorm.DB, p ResolvedIdentity, now time.Time) (*User, bool, error) {
	var u User
	found := tx.Where("connector_id = ? AND subject = ? AND retired = 0", p.ConnectorID, p.Identity.Subject).Limit(1).Find(&u)
	if found.Error != nil {
		return nil, false, found.Error
	}
	created, before := found.RowsAffected == 0, u.GroupNames
	if created {
		u = User{ID: secret.ID("usr"), ConnectorID: p.ConnectorID, Subject: p.Identity.Subject, Created: At(now)}
	}
	s.describe(&u, p, now)
	u.LastSignIn = At(now)
	if created {
		return &u, true, tx.Create(&u).Error
	}
	if err := update(tx, &u, "last_sign_in").Error; err != nil || slices.Equal(before, u.GroupNames) {
		return &u, false, err
	}
	return &u, false, addRevocations(tx, now, RightsChanged, "groups_changed", u.ID)
}

// update writes the columns from the upstream only. An admin may change the others at the same time.
func update(tx *gorm.DB, u *User, more ...string) *gorm.DB {
	columns := append([]string{
		"kube_name", "name_key", "login", "display_name", "email", "email_verified", "group_names", "upstream_data", "checked", "refused", "refused_reason",
	}, more...)
	return tx.Model(&User{}).Where("id = ?", u.ID).Select(columns).Updates(u)
}

func (s *Store) describe(u *User, p ResolvedIdentity, now time.Time) {
	id := p.Identity
	u.KubeName, u.NameKey = p.KubeName, kubenames.Key(p.KubeName)
	u.Login, u.DisplayName = id.Username, id.Name
	u.Email, u.EmailVerified, u.GroupNames = id.Email, id.EmailVerified, id.Groups
	u.UpstreamData = ""
	if len(id.Data) > 0 {
		u.UpstreamData = s.keyring.Seal(upstreamContext(u.ID), id.Data)
	}
	u.Checked, u.Refused, u.RefusedReason = At(now), 0, ""
}

func upstreamContext(userID string) string { return "users.upstream_data:" + userID }

// Identity returns the identity of the last sign-in or check, for a refresh.
func (s *Store) Identity(u *User) (connectors.Identity, error) {
	id := connectors.Identity{
		Subject: u.Subject, Username: u.Login, Name: u.DisplayName,
		Email: u.Email, EmailVerified: u.EmailVerified, Groups: u.GroupNames,
	}
	if u.UpstreamData == "" {
		return id, nil
	}
	data, err := s.keyring.Open(upstreamContext(u.ID), u.UpstreamData)
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("opening upstream data: %w", err)
	}
	id.Data = data
	return id, nil
}

// RefreshUser stores the identity of a repeated check of a user who was read as u, and returns the updated user. If
// their groups have changed, proxies learn it in the same transaction. A user whom another check or sign-in has updated
// since stays as they are: their identity is newer.
func (s *Store) RefreshUser(ctx context.Context, u *User, p ResolvedIdentity, now time.Time) (*User, error) {
	var stored User
	err := s.tx(ctx, func(tx *gorm.DB) error {
		stored = *u
		s.describe(&stored, p, now)
		changed := update(tx.Where("checked = ?", u.Checked), &stored)
		switch {
		case changed.Error != nil:
			return changed.Error
		case changed.RowsAffected == 0:
			return tx.Where("id = ?", u.ID).Take(&stored).Error
		case slices.Equal(u.GroupNames, stored.GroupNames) && u.KubeName == stored.KubeName:
			return nil
		}
		return addRevocations(tx, now, RightsChanged, "groups_changed", u.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("recording refreshed user: %w", err)
	}
	return &stored, nil
}

// KeepUpstreamData stores the connector's data about a user who was read as u, unless it is empty. It changes nothing
// if the upstream has answered since.
func (s *Store) KeepUpstreamData(ctx context.Context, u *User, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	sealed := s.keyring.Seal(upstreamContext(u.ID), data)
	if err := s.db.WithContext(ctx).Model(&User{}).Where("id = ? AND checked = ?", u.ID, u.Checked).Update("upstream_data", sealed).Error; err != nil {
		return fmt.Errorf("keeping the upstream's data: %w", err)
	}
	return nil
}

// RefuseUser stores that the upstream refuses a user who was read as u, and revokes what they hold, in one
// transaction. It reports false, with the user as they are now, if the upstream has confirmed them since: the refusal
// is older, as when two replicas use one refresh token.
func (s *Store) RefuseUser(ctx context.Context, u *User, reason string, now time.Time) (current *User, refused bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		changed := tx.Model(&User{}).Where("id = ? AND checked = ? AND refused = 0", u.ID, u.Checked).Updates(map[string]any{"refused": At(now), "refused_reason": reason})
		if changed.Error != nil {
			return changed.Error
		}
		current = &User{}
		if err := tx.Where("id = ?", u.ID).Take(current).Error; err != nil {
			return err
		}
		refused = current.Refused != 0
		if changed.RowsAffected == 0 {
			return nil
		}
		_, _, err := end(tx, Ending{Scope: EndRefused, UserID: u.ID, Reason: reason}, now)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("recording a refusal: %w", err)
	}
	return current, refused, nil
}

// UnsavedUser returns the user that this identity would become, without storing it. Previews use it.
func UnsavedUser(connectorID, kubeName string, id connectors.Identity) *User {
	return &User{
		ConnectorID: connectorID, Subject: id.Subject, KubeName: kubeName, NameKey: kubenames.Key(kubeName), Login: id.Username,
		DisplayName: id.Name, Email: id.Email, EmailVerified: id.EmailVerified, GroupNames: id.Groups,
	}
}
