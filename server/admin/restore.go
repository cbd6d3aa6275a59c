package admin

import (
	"context"
	"errors"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// RestorePreview is what restoring an entry would do.
type RestorePreview struct {
	*Preview
	// Current is the version of the entry that the preview is about; empty if there is none.
	Current string
	// Newest says that no later change was made to the entry.
	Newest bool
	// Nothing says that the entry is already as it would become.
	Nothing bool
}

// PreviewRestore works out what Restore would do with the same arguments.
func (a *Admin) PreviewRestore(ctx context.Context, c Caller, revisionID string, after bool) (*RestorePreview, error) {
	if err := a.may(ctx, c, WriteSettings, "preview restore "+revisionID); err != nil {
		return nil, err
	}
	r, err := a.Store.Revision(ctx, revisionID)
	if err != nil {
		return nil, err
	}
	text := r.Before
	if after {
		text = r.After
	}
	doc, err := decode(text)
	if err != nil {
		return nil, err
	}
	newest, err := a.Store.Revisions(ctx, store.RevisionQuery{Kind: r.Kind, ObjectID: r.ObjectID, Limit: 1})
	if err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	draft := a.replacing(set, r.Kind, r.ObjectID, doc, "")
	result := &RestorePreview{Current: draft.Version, Newest: len(newest) > 0 && newest[0].ID == r.ID}
	if doc == nil && draft.ID == "" || doc != nil && Version(doc) == draft.Version {
		result.Nothing, result.Preview = true, &Preview{}
		return result, nil
	}
	p, err := a.work(set, draft)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		result.Preview = &Preview{Refused: "The old version can’t be restored: " + refused.Error()}
		return result, nil
	}
	if kind := errs.KindOf(err); err != nil && (kind == errs.Denied || kind == errs.Invalid || kind == errs.NotFound) {
		result.Preview = &Preview{Refused: errs.Message(err)}
		return result, nil
	}
	if err != nil {
		return nil, err
	}
	result.Preview, err = a.preview(ctx, c, p)
	return result, err
}
