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

// User is our lasting record of a person: connector and the upstream's
// unchangeable subject. It is never found by e-mail or login name.
type User struct {
	ID          string
	ConnectorID string
	Subject     string
	// KubeName is the user name that clusters see: the connector's prefix and
	// the login. NameKey is it in lower case; two people can't share it.
	KubeName, NameKey string
	Login             string
	DisplayName       string
	Email             string
	EmailVerified     bool
	GroupNames        Strings
	// UpstreamData is what the connector keeps, sealed.
	UpstreamData string
	Disabled     bool
	Created      Instant
	LastSignIn   Instant
	// Checked is when the upstream last confirmed the person.
	Checked Instant
}

// Label is the name to show to people.
func (u *User) Label() string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Login
}

// ResolvedIdentity is what the upstream said, with prefixes applied: see upstream.Settle.
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

// SignInUser records the person at a sign-in and returns the user: a new one,
// or the one with the same connector and subject with its details brought up to
// date. The error's kind is Conflict when the name belongs to somebody else:
// a login name that was given up upstream and taken by another account must not
// inherit what was granted to the first.
func (s *Store) SignInUser(ctx context.Context, p ResolvedIdentity, now time.Time) (user *User, created bool, err error) {
	for range 2 { // two first sign-ins at once: the second finds what the first made
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
	found := tx.Where("connector_id = ? AND subject = ?", p.ConnectorID, p.Identity.Subject).Limit(1).Find(&u)
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
	return &u, false, addRevocations(tx, now, RevokedRights, "groups_changed", u.ID)
}

// update writes what the upstream said, and nothing that an admin may be
// changing at the same moment.
func update(tx *gorm.DB, u *User, more ...string) *gorm.DB {
	columns := append([]string{
		"kube_name", "name_key", "login", "display_name", "email", "email_verified", "group_names", "upstream_data", "checked",
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
	u.Checked = At(now)
}

func upstreamContext(userID string) string { return "users.upstream_data:" + userID }

// Identity returns what the upstream said last, for a refresh.
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

// RefreshUser records what the upstream said at a re-read, and returns the user
// as it is now.
func (s *Store) RefreshUser(ctx context.Context, u *User, p ResolvedIdentity, now time.Time) (*User, error) {
	fresh := *u
	s.describe(&fresh, p, now)
	if err := update(s.db.WithContext(ctx), &fresh).Error; err != nil {
		return nil, fmt.Errorf("recording refreshed user: %w", translate(err))
	}
	return &fresh, nil
}

// UnsavedUser is the user that somebody would be who has not signed in: to ask what
// they might do. It is not stored.
func UnsavedUser(connectorID, kubeName string, id connectors.Identity) *User {
	return &User{
		ConnectorID: connectorID, Subject: id.Subject, KubeName: kubeName, NameKey: kubenames.Key(kubeName), Login: id.Username,
		DisplayName: id.Name, Email: id.Email, EmailVerified: id.EmailVerified, GroupNames: id.Groups,
	}
}
