package admin

import (
	"context"
	"fmt"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// RemovePerson ends everything of a user and deletes the user, which releases their name. The audit log keeps what they
// did. The next sign-in with the name makes a new user, without the second factors, devices and API tokens of the old
// one.
func (a *Admin) RemovePerson(ctx context.Context, c Caller, id, reason string) error {
	if err := a.authorize(ctx, c, WritePeople, "remove person "+id); err != nil {
		return err
	}
	if c.User != nil && c.User.ID == id {
		a.recordRefusal(ctx, c, "guard", "remove oneself")
		return errs.New(errs.Denied, "You can’t remove your own account: you would lose access at once. Ask another admin.")
	}
	return a.removePerson(ctx, c, id, reason)
}

func (a *Admin) removePerson(ctx context.Context, c Caller, id, reason string) error {
	user, err := a.Store.User(ctx, id)
	if err != nil {
		return err
	}
	err = a.Store.RemoveUser(ctx, store.Ending{UserID: id, Reason: store.RevokedByAdmin}, a.Now())
	if err != nil {
		return err
	}
	a.Audit.Record(ctx, a.userEvent(c, audit.UserRemoved, user, reason))
	if a.Ended != nil {
		a.Ended()
	}
	return nil
}

// Retired returns the number of people whose connector with this id was deleted.
func (a *Admin) Retired(ctx context.Context, c Caller, connectorID string) (int, error) {
	if err := a.authorize(ctx, c, ReadPeople, "count the people of the deleted connector "+connectorID); err != nil {
		return 0, err
	}
	users, err := a.Store.RetiredUsers(ctx, connectorID)
	return len(users), err
}

// RemoveRetired removes the people whose connector with this id was deleted, and returns their number.
func (a *Admin) RemoveRetired(ctx context.Context, c Caller, connectorID string) (int, error) {
	if err := a.authorize(ctx, c, WritePeople, "remove the people of the deleted connector "+connectorID); err != nil {
		return 0, err
	}
	users, err := a.Store.RetiredUsers(ctx, connectorID)
	if err != nil {
		return 0, err
	}
	for i, id := range users {
		if err := a.removePerson(ctx, c, id, "the connector "+connectorID+" was deleted"); err != nil {
			return i, err
		}
	}
	return len(users), nil
}

// ReturnPeople says that a connector has the same people as the deleted one with its id, and returns the number of
// people that it gets back. They must sign in again.
func (a *Admin) ReturnPeople(ctx context.Context, c Caller, connectorID string) (int, error) {
	if err := a.authorizeWrite(ctx, c, "return the people of connector "+connectorID); err != nil {
		return 0, err
	}
	n, err := a.Store.ReturnUsers(ctx, connectorID)
	if err != nil || n == 0 {
		return n, err
	}
	event := c.event(audit.UserReturned)
	event.ConnectorID, event.Detail = connectorID, fmt.Sprintf("%d people of the connector %s", n, connectorID)
	a.Audit.Record(ctx, event)
	return n, nil
}
