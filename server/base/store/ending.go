package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
)

// Scope says what an ending ends.
type Scope string

// The scopes. Each but EndClient and EndConnector acts on one user.
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
	// EndClient ends what all users have granted the client Ending.ID. It needs no user.
	EndClient Scope = "client"
	// EndConnector refuses all users of the connector Ending.ID, as EndRefused does one of them. It needs no user.
	EndConnector Scope = "connector"
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
	EndClient:  {Codes: ofAnyUser, DeviceCodes: ofAnyUser, Devices: ofAnyUser, AccessTokens: ofAnyUser, Consents: ofAnyUser},

	EndConnector: {Codes: ofConnector, DeviceCodes: ofConnector, SignIns: ofConnector, AccessTokens: ofConnector},
}

const (
	ofUser    = "user_id = @user"
	ofAnyUser = "client_id = @id"
	ofClient  = ofUser + " AND " + ofAnyUser

	ofConnector = "user_id IN (SELECT id FROM users WHERE connector_id = @id)"
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
	// Event records the act if anything has ended. Log, when set, stores it in the transaction, with an event for each
	// device of EndDevices and EndConsent. The event's name may be empty.
	Event audit.Event
	Log   *audit.Log
}

// wholeUser reports whether older tokens of a user end even if no row says so.
func (s Scope) wholeUser() bool {
	return s == EndAccount || s == EndPerson || s == EndRefused || s == EndConnector
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

// End ends what a scope reaches, records it and tells proxies, in one transaction. It is the only way to end something
// of a user.
func (s *Store) End(ctx context.Context, e Ending, now time.Time) (ended Ended, err error) {
	var events []audit.Event
	err = s.tx(ctx, func(tx *gorm.DB) error {
		ended, events, err = end(tx, e, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ending the %s of a user: %w", e.Scope, err)
	}
	for _, event := range events {
		e.Log.RecordStored(ctx, event, s)
	}
	return ended, nil
}

func end(tx *gorm.DB, e Ending, now time.Time) (Ended, []audit.Event, error) {
	users, disables, err := endUsers(tx, e, now)
	if err != nil {
		return nil, nil, err
	}
	ended, err := endRows(tx, e, now)
	if err != nil {
		return nil, nil, err
	}
	var events []audit.Event
	if disables || e.Scope == EndPerson || ended.Anything() {
		events = e.events(tx.Statement.Context, ended)
	}
	for _, event := range events {
		if err := tx.Exec(addEvent, eventArgs(event)...).Error; err != nil {
			return nil, nil, err
		}
	}
	return ended, events, announce(tx, e, users, ended, now)
}

// endUsers locks the users, disables or refuses them if the scope says so, and returns their ids.
func endUsers(tx *gorm.DB, e Ending, now time.Time) (ids []string, disables bool, err error) {
	switch e.Scope {
	case EndClient:
		return nil, false, nil
	case EndConnector:
		const refuse = "UPDATE users SET refused = ?, refused_reason = ? WHERE connector_id = ? AND refused = 0 RETURNING id"
		err = tx.Raw(refuse, At(now), e.Reason, e.ID).Scan(&ids).Error
		return ids, false, err
	}
	user, err := lockUser(tx, e.UserID, "NO KEY UPDATE")
	if disables = err == nil && e.Scope == EndAccount && !user.Disabled; disables {
		err = tx.Model(&User{}).Where("id = ?", e.UserID).Update("disabled", true).Error
	}
	return []string{e.UserID}, disables, err
}

func endRows(tx *gorm.DB, e Ending, now time.Time) (Ended, error) {
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
	if len(ended[SignIns]) == 0 {
		return ended, nil
	}
	return ended, addNotices(tx, ended[SignIns], now)
}

// events returns the audit events of an ending.
func (e Ending) events(ctx context.Context, ended Ended) []audit.Event {
	if e.Log == nil {
		return nil
	}
	event := e.Log.Complete(ctx, e.Event)
	var events []audit.Event
	if event.Name != "" {
		events = append(events, event)
	}
	if e.Scope == EndDevices || e.Scope == EndConsent {
		for _, id := range ended[Devices] {
			event.Name, event.DeviceID, event.Reason = audit.DeviceRevoked, id, e.Reason
			events = append(events, event)
		}
	}
	return events
}

// announce tells the proxies what has ended. They refuse the ids of devices and sessions for good, and the older tokens
// of a user.
func announce(tx *gorm.DB, e Ending, users []string, ended Ended, now time.Time) error {
	if e.Scope.wholeUser() {
		if err := addRevocations(tx, now, RevokedUser, e.Reason, users...); err != nil {
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

// mayMint decides whether something may still be minted for a user: they are enabled, and their upstream has not refused
// them. Call it in the transaction that stores what is minted, before everything else.
func mayMint(tx *gorm.DB, userID string) (bool, error) {
	user, err := lockUser(tx, userID, "SHARE")
	return err == nil && !user.Blocked(), err
}

// mayMintFor is mayMint for a user's session, which must be active.
func mayMintFor(tx *gorm.DB, userID, signInID string, now time.Time) (bool, error) {
	if may, err := mayMint(tx, userID); err != nil || !may {
		return false, err
	}
	var active int64
	err := tx.Model(&SignIn{}).Where("id = ? AND user_id = ? AND ended = 0 AND idle_expires > ? AND expires > ?", signInID, userID, At(now), At(now)).
		Count(&active).Error
	return active == 1, err
}

// demandMint is mayMint with an error of kind Denied.
func demandMint(tx *gorm.DB, userID string) error {
	may, err := mayMint(tx, userID)
	if err == nil && !may {
		return errs.New(errs.Denied, "The account is disabled, or its upstream refuses it. Ask an admin for help.")
	}
	return err
}
