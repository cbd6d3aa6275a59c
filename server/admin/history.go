package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
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

// ConfirmTrial ends the trial of a change and keeps the change. The caller must have signed in through the changed
// connector after the change, which proves that sign-ins still work.
func (a *Admin) ConfirmTrial(ctx context.Context, c Caller, id string) error {
	if err := a.authorize(ctx, c, WriteSettings, "confirm "+id); err != nil {
		return err
	}
	r, err := a.Store.Revision(ctx, id)
	if err != nil {
		return err
	}
	if !c.CanConfirm(r) {
		a.recordRefusal(ctx, c, "no_new_sign_in", "confirm "+id)
		return errs.New(errs.Denied, "The change was not confirmed: only a new sign-in through %s proves that it still works. Sign in again in a private window and confirm there.", r.ObjectID)
	}
	return a.settle(ctx, c, r, store.OutcomeConfirmed)
}

// CanConfirm reports whether the caller signed in through the changed connector after the change. Only changes of
// connectors are ever on trial.
func (c Caller) CanConfirm(r *store.Revision) bool {
	return c.SignIn != nil && c.SignIn.Authenticated > r.Time && c.SignIn.ConnectorID == r.ObjectID
}

// RollBackTrial undoes a change on trial at once.
func (a *Admin) RollBackTrial(ctx context.Context, c Caller, id string) error {
	if err := a.authorize(ctx, c, WriteSettings, "roll back "+id); err != nil {
		return err
	}
	r, err := a.Store.Revision(ctx, id)
	if err != nil {
		return err
	}
	return a.settle(ctx, c, r, store.OutcomeRolledBack)
}

// settle ends a trial. Exactly one of several concurrent callers succeeds.
func (a *Admin) settle(ctx context.Context, c Caller, r *store.Revision, outcome string) error {
	err := a.Store.UpdateSettings(ctx, func(tx *store.SettingsTx) error {
		set, err := tx.All()
		if err != nil {
			return err
		}
		if _, err := callerNow(tx, set, c); err != nil {
			return err
		}
		first, err := tx.EndTrial(r.ID, outcome)
		if err != nil {
			return err
		}
		if !first {
			return errs.New(errs.Conflict, "This change is no longer on trial: it was confirmed or rolled back. Reload the page.")
		}
		if outcome != store.OutcomeRolledBack {
			return nil
		}
		return a.rollBack(tx, set, c, r)
	})
	if err != nil {
		return err
	}
	event := c.event(audit.AdminTrialEnded)
	event.Reason, event.Detail = outcome, fmt.Sprintf("%s %s, revision %d", r.Kind, r.ObjectID, r.Number)
	a.Audit.Record(ctx, event)
	return nil
}

// rollBack restores the earlier entry as a new revision. The guard does not run, because sign-ins worked with the
// earlier entry.
func (a *Admin) rollBack(tx *store.SettingsTx, set store.Settings, c Caller, r *store.Revision) error {
	doc, err := decode(r.Before)
	if err != nil {
		return err
	}
	p, err := a.makePlan(set, a.replacing(set, r.Kind, r.ObjectID, doc, ""))
	if err != nil && p == nil {
		return err
	}
	back, err := a.write(tx, c, p, fmt.Sprintf("takes revision %d back", r.Number))
	if err != nil {
		return err
	}
	return tx.AddRevision(back)
}

// trialTick is the time between two checks of trials.
const trialTick = 5 * time.Second

// Run undoes changes whose trial is over, and loads settings that another replica changed, until ctx ends.
func (a *Admin) Run(ctx context.Context) error {
	ticker := time.NewTicker(trialTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := errors.Join(a.EndTrials(ctx), a.Refresh(ctx)); err != nil && ctx.Err() == nil {
				a.Logger.WarnContext(ctx, "trials not looked at", "error", err)
			}
		}
	}
}

// maxTrials bounds the trials of one check.
const maxTrials = 100

// EndTrials undoes the changes whose trial is over.
func (a *Admin) EndTrials(ctx context.Context) error {
	rows, err := a.Store.Revisions(ctx, store.RevisionQuery{Trials: true, Limit: maxTrials})
	if err != nil {
		return err
	}
	var faults []error
	for i := range rows {
		if !rows[i].TrialUntil.Passed(a.Now()) {
			continue
		}
		err := a.settle(ctx, Caller{Shell: "fairlead"}, &rows[i], store.OutcomeRolledBack)
		if !errs.Is(err, errs.Conflict) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Trials lists the changes on trial.
func (a *Admin) Trials(ctx context.Context, c Caller) ([]Change, error) {
	return a.History(ctx, c, store.RevisionQuery{Trials: true})
}

// KindLabel returns the display name of a kind, in lower case.
func KindLabel(kind string) string {
	if k, known := settings.KindOf(kind); known {
		return k.One
	}
	return kind
}
