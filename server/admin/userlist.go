package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// UserPage is a page of users with the number of sessions of each.
type UserPage struct {
	store.UserPage
	// Sessions is the number of active sessions and devices, by the user's id.
	Sessions map[string]int
}

// ListUsers returns a page of the users that a query selects.
func (a *Admin) ListUsers(ctx context.Context, c Caller, query store.UserList) (*UserPage, error) {
	if err := a.authorize(ctx, c, ReadPeople, "list people"); err != nil {
		return nil, err
	}
	if query.Limit <= 0 || query.Limit > PageSize {
		query.Limit = PageSize
	}
	page, err := a.Store.ListUsers(ctx, query)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(page.Users))
	for i := range page.Users {
		ids[i] = page.Users[i].ID
	}
	sessions, err := a.Store.SessionCounts(ctx, ids, a.Now())
	return &UserPage{UserPage: page, Sessions: sessions}, err
}

// UserGroups returns the groups of active users, with the number of users.
func (a *Admin) UserGroups(ctx context.Context, c Caller) (map[string]int64, error) {
	if err := a.authorize(ctx, c, ReadPeople, "list groups"); err != nil {
		return nil, err
	}
	rows, _, err := a.Store.Groups(ctx, "", 0, maxGroups)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int64, len(rows))
	for _, row := range rows {
		counts[row.Name] = row.Users
	}
	return counts, nil
}
