package admin

import (
	"context"
	"errors"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Change is a revision without secrets, for pages.
type Change struct {
	store.Revision
	// Diff lists the changed fields.
	Diff []form.Change
}

// History lists revisions, the newest first. Query.Limit is at most PageSize.
func (a *Admin) History(ctx context.Context, c Caller, query store.RevisionQuery) ([]Change, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list history"); err != nil {
		return nil, err
	}
	if query.Limit <= 0 || query.Limit > PageSize {
		query.Limit = PageSize
	}
	rows, err := a.Store.Revisions(ctx, query)
	if err != nil {
		return nil, err
	}
	changes := make([]Change, len(rows))
	for i := range rows {
		if changes[i], err = a.describe(&rows[i]); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// Revision returns one change.
func (a *Admin) Revision(ctx context.Context, c Caller, id string) (Change, error) {
	if err := a.authorize(ctx, c, ReadSettings, "read revision "+id); err != nil {
		return Change{}, err
	}
	r, err := a.Store.Revision(ctx, id)
	if err != nil {
		return Change{}, err
	}
	return a.describe(r)
}

// describe compares the two documents and removes them, because they contain secrets.
func (a *Admin) describe(r *store.Revision) (Change, error) {
	before, errBefore := decode(r.Before)
	after, errAfter := decode(r.After)
	if err := errors.Join(errBefore, errAfter); err != nil {
		return Change{}, err
	}
	shape := after
	if shape == nil {
		shape = before
	}
	change := Change{Revision: *r, Diff: form.Diff(a.fields(r.Kind, shape), before, after)}
	change.Before, change.After = "", ""
	return change, nil
}

// KindLabel returns the display name of a kind, in lower case.
func KindLabel(kind string) string {
	if k, known := settings.KindOf(kind); known {
		return k.One
	}
	return kind
}
