package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Scope says what an ending ends.
type Scope string

// The scopes. Each acts on one user.
const (
	// EndAccount disables the user.
	EndAccount Scope = "account"
	// EndPerson signs the user out everywhere.
	EndPerson Scope = "person"
	// EndRefused follows a clear no of the upstream. Devices and API tokens are suspended until the upstream confirms
	// the user again.
	EndRefused Scope = "refused"
	// EndSignIn ends the browser session Ending.ID. Devices outlive it.
	EndSignIn Scope = "sign-in"
	// EndDevice ends the device Ending.ID, and EndDevices all of them.
	EndDevice  Scope = "device"
	EndDevices Scope = "devices"
	// EndConsent withdraws the consent to the client Ending.ID.
	EndConsent Scope = "consent"
)

// Holding is a kind of row that gives access.
type Holding string

// The holdings.
const (
	Codes        Holding = "authorization codes"
	DeviceCodes  Holding = "approved device codes"
	SignIns      Holding = "browser sessions"
	Devices      Holding = "devices"
	AccessTokens Holding = "access tokens"
	APITokens    Holding = "API tokens"
	Consents     Holding = "consents"
)

// holdings lists the statements that end rows. Devices come before access tokens: a rotation locks the device, then
// adds a token.
var holdings = []struct {
	name     Holding
	end, key string
}{
	// A replica whose clock is slow must not redeem an ended code, so it expires at the beginning of time.
	{Codes, "UPDATE codes SET expires = 1 WHERE used = 0 AND expires > 1 AND ", "hash"},
	{DeviceCodes, "UPDATE device_codes SET expires = 1 WHERE approved > 0 AND used = 0 AND expires > 1 AND ", "hash"},
	{SignIns, "UPDATE sign_ins SET ended = @now WHERE ended = 0 AND ", "id"},
	{Devices, "UPDATE devices SET revoked = @now, reason = @reason WHERE revoked = 0 AND ", "id"},
	{AccessTokens, "UPDATE access_tokens SET revoked = @now WHERE revoked = 0 AND ", "hash"},
	{APITokens, "UPDATE api_tokens SET revoked = @now WHERE revoked = 0 AND ", "id"},
	{Consents, "DELETE FROM consents WHERE ", "client_id"},
}

// reach says which rows each scope ends. A holding that is missing stays.
var reach = map[Scope]map[Holding]string{
	EndAccount: allOfUser,
	EndPerson:  allOfUser,
	EndRefused: {Codes: ofUser, DeviceCodes: ofUser, SignIns: ofUser, AccessTokens: ofUser},
	EndSignIn: {
		Codes: ofUser + " AND sign_in_id = @id", DeviceCodes: ofUser + " AND sign_in_id = @id", SignIns: ofUser + " AND id = @id",
		AccessTokens: ofUser + " AND sign_in_id = @id AND device_id = ''",
	},
	EndDevice: {Devices: ofUser + " AND id = @id", AccessTokens: ofUser + " AND device_id = @id"},
	EndDevices: { // a code with offline access would become a device
		Codes: ofUser + ` AND scopes LIKE '%"offline_access"%'`, DeviceCodes: ofUser, Devices: ofUser, AccessTokens: ofUser + " AND device_id <> ''",
	},
	EndConsent: {Codes: ofClient, DeviceCodes: ofClient, Devices: ofClient, AccessTokens: ofClient, Consents: ofClient},
}

const (
	ofUser   = "user_id = @user"
	ofClient = ofUser + " AND client_id = @id"
)

var allOfUser = map[Holding]string{Codes: ofUser, DeviceCodes: ofUser, SignIns: ofUser, Devices: ofUser, AccessTokens: ofUser, APITokens: ofUser}

// Ending says what ends, and why.
type Ending struct {
	Scope  Scope
	UserID string
	// ID is the session, device or client that the scope needs.
	ID string
	// Reason is one of the Revoked constants.
	Reason string
}

// Ended holds the ids of the rows that an ending has ended. Rows that had ended before are not in it.
type Ended map[Holding][]string

// Anything reports whether anything has ended.
func (e Ended) Anything() bool {
	for _, ids := range e {
		if len(ids) > 0 {
			return true
		}
	}
	return false
}

// End ends what a scope reaches, and tells proxies, in one transaction. It is the only way to end something of a user.
func (s *Store) End(ctx context.Context, e Ending, now time.Time) (ended Ended, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		ended, err = end(tx, e, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ending the %s of a user: %w", e.Scope, err)
	}
	return ended, nil
}

func end(tx *gorm.DB, e Ending, now time.Time) (Ended, error) {
	if _, err := lockUser(tx, e.UserID, "NO KEY UPDATE"); err != nil {
		return nil, err
	}
	if e.Scope == EndAccount {
		if err := tx.Model(&User{}).Where("id = ?", e.UserID).Update("disabled", true).Error; err != nil {
			return nil, err
		}
	}
	ended := Ended{}
	values := map[string]any{"user": e.UserID, "id": e.ID, "reason": e.Reason, "now": At(now)}
	for _, h := range holdings {
		where, reached := reach[e.Scope][h.name]
		if !reached {
			continue
		}
		var ids []string
		if err := tx.Raw(h.end+where+" RETURNING "+h.key, values).Scan(&ids).Error; err != nil {
			return nil, err
		}
		ended[h.name] = ids
	}
	if err := addNotices(tx, ended[SignIns], now); err != nil {
		return nil, err
	}
	return ended, announce(tx, e, ended, now)
}

// announce tells the proxies what has ended.
func announce(tx *gorm.DB, e Ending, ended Ended, now time.Time) error {
	if e.Scope == EndAccount || e.Scope == EndPerson || e.Scope == EndRefused {
		if err := addRevocations(tx, now, RevokedUser, e.Reason, e.UserID); err != nil {
			return err
		}
	}
	if err := addRevocations(tx, now, RevokedDevice, e.Reason, ended[Devices]...); err != nil {
		return err
	}
	return addRevocations(tx, now, RevokedSignIn, e.Reason, ended[SignIns]...)
}

// lockUser locks the row of a user until the end of the transaction. Endings take the lock alone, and those who mint
// tokens share it: either the ending sees the token, or the mint sees the ending. SQLite has one writer anyway.
func lockUser(tx *gorm.DB, id, strength string) (*User, error) {
	var u User
	err := tx.Clauses(clause.Locking{Strength: strength}).Select("id", "disabled", "refused").Where("id = ?", id).Take(&u).Error
	return &u, err
}

// holder is the user and the session for whom something is minted. The session is empty for workloads.
type holder struct{ userID, signInID string }

// mayMint decides whether something may still be minted for a user: they are enabled, their upstream has not refused
// them, and the session is active. Call it in the transaction that stores what is minted, before everything else.
func mayMint(tx *gorm.DB, h holder, now time.Time) (bool, error) {
	user, err := lockUser(tx, h.userID, "SHARE")
	if err != nil || user.Blocked() || h.signInID == "" {
		return err == nil && !user.Blocked(), err
	}
	var active int64
	err = tx.Model(&SignIn{}).Where("id = ? AND user_id = ? AND ended = 0 AND idle_expires > ? AND expires > ?", h.signInID, h.userID, At(now), At(now)).
		Count(&active).Error
	return active == 1, err
}
