package admin

import (
	"context"
	"errors"
	"strconv"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// RestorePreview describes the effect of restoring an entry.
type RestorePreview struct {
	*Preview
	// Current is the current version of the entry. It is empty if the entry does not exist.
	Current string
	// Newest reports that the entry has no later change.
	Newest bool
	// NoChange reports that the entry already has this content.
	NoChange bool
}

// Restoration says which version of an entry to restore.
type Restoration struct {
	// RevisionID is the change. The entry returns to its content before the change, or after it if After is set.
	// Later changes of the entry are lost.
	RevisionID string
	After      bool
	// Reason is stored in the history.
	Reason string
	// Expected, if set, is the version that the caller has seen: RestorePreview.Current. If the entry has another
	// version by now, the error is an OutdatedError.
	Expected *string
}

// Restore restores an earlier version of an entry, except its credentials.
func (a *Admin) Restore(ctx context.Context, c Caller, r Restoration) (*store.Revision, error) {
	if err := a.authorizeWrite(ctx, c, "restore "+r.RevisionID); err != nil {
		return nil, err
	}
	_, draft, set, err := a.restoring(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Expected != nil && *r.Expected != draft.Version {
		current, _ := find(settings.Documents(set)[draft.Kind], draft.ID)
		return nil, &OutdatedError{Current: form.Mask(a.fields(draft.Kind, current.Doc), current.Doc), Version: draft.Version}
	}
	return a.apply(ctx, c, draft)
}

// restoring returns the change, and the draft that restores its entry.
func (a *Admin) restoring(ctx context.Context, r Restoration) (*store.Revision, Draft, store.Settings, error) {
	revision, err := a.Store.Revision(ctx, r.RevisionID)
	if err != nil {
		return nil, Draft{}, store.Settings{}, err
	}
	text := revision.Before
	if r.After {
		text = revision.After
	}
	doc, err := decode(text)
	if err != nil {
		return nil, Draft{}, store.Settings{}, err
	}
	set, err := a.Store.AllSettings(ctx)
	if revision.Action == store.ActionMove {
		return revision, movingBack(set, revision, doc, r.Reason), set, err
	}
	if err == nil {
		doc, err = a.keepCredentials(ctx, set, revision, doc)
	}
	return revision, a.replacing(set, revision.Kind, revision.ObjectID, doc, r.Reason), set, err
}

// credentials are the fields with which a caller authenticates, by kind. Each was changed for a reason: no restoration brings
// an old one back.
func credentials(kind string) []string {
	switch kind {
	case settings.Clients:
		return []string{"secrets", "secretHashes", "secretNotes", "keys"}
	case settings.LocalUsers:
		return []string{"passwordHash"}
	case settings.Issuers:
		return []string{"keys"}
	}
	return nil
}

// keepCredentials gives a document of the history the credentials that the entry has now, or had last.
func (a *Admin) keepCredentials(ctx context.Context, set store.Settings, r *store.Revision, doc form.Doc) (form.Doc, error) {
	fields := credentials(r.Kind)
	if len(fields) == 0 || doc == nil {
		return doc, nil
	}
	current, found := find(settings.Documents(set)[r.Kind], r.ObjectID)
	latest := current.Doc
	if !found {
		rows, err := a.Store.Revisions(ctx, store.RevisionQuery{Kind: r.Kind, ObjectID: r.ObjectID, Limit: 1})
		if err != nil || len(rows) == 0 {
			return doc, err
		}
		if latest, err = decode(rows[0].Before); err != nil {
			return nil, err
		}
	}
	doc = doc.Clone()
	for _, field := range fields {
		delete(doc, field)
		if value := latest.Get(field); value != nil {
			doc[field] = value
		}
	}
	return doc, nil
}

// movingBack returns a draft that moves an entry to the position in the document of a move.
func movingBack(set store.Settings, r *store.Revision, doc form.Doc, reason string) Draft {
	position, _ := strconv.Atoi(doc.Text("position")) // a move always has one
	d := Draft{Kind: r.Kind, ID: r.ObjectID, Position: max(position, 1), Reason: reason}
	if current, found := find(settings.Documents(set)[r.Kind], r.ObjectID); found {
		d.Version = Version(current.Doc)
	}
	return d
}

// PreviewRestore works out what Restore would do with the same arguments.
func (a *Admin) PreviewRestore(ctx context.Context, c Caller, r Restoration) (*RestorePreview, error) {
	if err := a.authorize(ctx, c, WriteSettings, "preview restore "+r.RevisionID); err != nil {
		return nil, err
	}
	revision, draft, set, err := a.restoring(ctx, r)
	if err != nil {
		return nil, err
	}
	newest, err := a.Store.Revisions(ctx, store.RevisionQuery{Kind: revision.Kind, ObjectID: revision.ObjectID, Limit: 1})
	if err != nil {
		return nil, err
	}
	result := &RestorePreview{Current: draft.Version, Newest: len(newest) > 0 && newest[0].ID == revision.ID}
	if draft.Position == 0 && draft.Doc == nil && draft.ID == "" || draft.Doc != nil && Version(draft.Doc) == draft.Version {
		result.NoChange, result.Preview = true, &Preview{}
		return result, nil
	}
	p, err := a.makePlan(set, draft)
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
	result.Preview, err = a.preview(ctx, c, p, r.Reason)
	result.NoChange = p.action == store.ActionMove && form.Equal(p.before, p.after)
	return result, err
}
