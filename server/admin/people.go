package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// People lists the users, and their total number.
func (a *Admin) People(ctx context.Context, c Caller, query store.UserQuery) ([]store.User, int64, error) {
	if err := a.authorize(ctx, c, ReadPeople, "list people"); err != nil {
		return nil, 0, err
	}
	if query.Limit <= 0 || query.Limit > PageSize {
		query.Limit = PageSize
	}
	return a.Store.FindUsers(ctx, query)
}

// Person is a user with sessions, devices, factors and clusters.
type Person struct {
	User     *store.User
	SignIns  []store.SignIn
	Devices  []store.Device
	Clusters []access.Allowed
	Admin    bool
	Factors  []store.Factor
}

// Person returns a user by id.
func (a *Admin) Person(ctx context.Context, c Caller, id string) (*Person, error) {
	if err := a.authorize(ctx, c, ReadPeople, "read person "+id); err != nil {
		return nil, err
	}
	p := &Person{}
	for _, read := range []func() error{
		func() (err error) { p.User, err = a.Store.User(ctx, id); return err },
		func() (err error) { p.SignIns, err = a.Store.SignIns(ctx, id, a.Now()); return err },
		func() (err error) { p.Devices, err = a.Store.Devices(ctx, id, a.Now()); return err },
		func() (err error) {
			p.Clusters, err = (&access.Policy{Store: a.Store, Audit: a.Audit}).Clusters(ctx, p.User)
			return err
		},
		func() (err error) { p.Admin, err = a.IsAdmin(ctx, p.User); return err },
		func() (err error) { p.Factors, err = a.Store.Factors(ctx, id); return err },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	for i := range p.Factors {
		p.Factors[i].Data = "" // pages must not show the secret
	}
	return p, nil
}

// Disable disables a user, which ends all their sessions and tokens at once, or enables the
// user again. The reason, which may be empty, is for the audit log.
func (a *Admin) Disable(ctx context.Context, c Caller, id string, off bool, reason string) error {
	if err := a.authorize(ctx, c, WritePeople, "disable person "+id); err != nil {
		return err
	}
	if off && c.User != nil && c.User.ID == id {
		a.recordRefusal(ctx, c, "guard", "disable oneself")
		return errs.New(errs.Denied, "You can’t disable your own account: you would lose access at once. Ask another admin.")
	}
	user, err := a.Store.User(ctx, id)
	if err != nil {
		return err
	}
	if off {
		_, err = a.end(ctx, user, store.Ending{Scope: store.EndAccount, Event: a.userEvent(c, audit.UserDisabled, user, reason)})
		return err
	}
	if user.Retired != 0 {
		return errs.New(errs.Conflict, "The user was not enabled: their connector %s was deleted. If the connector of this ID has the same people, return them to it.", user.ConnectorID)
	}
	enabled, err := a.Store.EnableUser(ctx, id)
	if enabled {
		a.Audit.Record(ctx, a.userEvent(c, audit.UserEnabled, user, reason))
	}
	return err
}

// userEvent returns an audit event about a user.
func (a *Admin) userEvent(c Caller, name audit.Name, user *store.User, what string) audit.Event {
	event := audit.Event{
		Name: name, UserID: user.ID, UserName: user.KubeName, ActorName: c.name(), ConnectorID: user.ConnectorID, Address: c.Address,
		Reason: store.RevokedByAdmin, Detail: what,
	}
	if c.User != nil {
		event.ActorID = c.User.ID
	}
	return event
}

// end ends something of a user, and has clients notified.
func (a *Admin) end(ctx context.Context, user *store.User, e store.Ending) (store.Ended, error) {
	e.UserID, e.Reason, e.Log = user.ID, store.RevokedByAdmin, a.Audit
	ended, err := a.Store.End(ctx, e, a.Now())
	if err == nil && a.Ended != nil {
		a.Ended()
	}
	return ended, err
}

// RemoveFactor removes a second factor of a user, for example of a lost phone. The user's connector may require a
// new one at the next sign-in.
func (a *Admin) RemoveFactor(ctx context.Context, c Caller, id, factorID string) error {
	if err := a.authorize(ctx, c, WritePeople, "remove a second factor of "+id); err != nil {
		return err
	}
	user, err := a.Store.User(ctx, id)
	if err != nil {
		return err
	}
	if err := a.Store.RemoveFactor(ctx, id, factorID); err != nil {
		return err
	}
	a.Audit.Record(ctx, a.userEvent(c, audit.FactorChanged, user, "second factor removed"))
	return nil
}

// Revoke ends one session or device of a user, or all of them if thing is empty.
func (a *Admin) Revoke(ctx context.Context, c Caller, id, thing string) error {
	if err := a.authorize(ctx, c, WritePeople, "revoke "+id+" "+thing); err != nil {
		return err
	}
	user, err := a.Store.User(ctx, id)
	if err != nil {
		return err
	}
	if thing == "" {
		_, err := a.end(ctx, user, store.Ending{Scope: store.EndPerson, Event: a.userEvent(c, audit.UserRevoked, user, "everything")})
		return err
	}
	for _, scope := range []store.Scope{store.EndDevice, store.EndSignIn} {
		ended, err := a.end(ctx, user, store.Ending{Scope: scope, ID: thing, Event: a.userEvent(c, audit.UserRevoked, user, thing)})
		if err != nil || ended.Anything() {
			return err
		}
	}
	return errs.New(errs.NotFound, "There is nothing to end: this session has already ended. Reload the page.")
}
