package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

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

// settle ends a trial. Exactly one of several concurrent callers succeeds. The error's kind is Conflict if the trial has
// ended, or if there is nothing to roll back because the entry has changed since.
func (a *Admin) settle(ctx context.Context, c Caller, r *store.Revision, outcome string) error {
	result := outcome
	err := a.Store.UpdateSettings(ctx, func(tx *store.SettingsTx) error {
		set, err := tx.All()
		if err != nil {
			return err
		}
		if _, err := callerNow(tx, set, c); err != nil {
			return err
		}
		if result = outcome; outcome == store.OutcomeRolledBack && !isAsTried(set, r) {
			result = store.OutcomeReplaced
		}
		first, err := tx.EndTrial(r.ID, result)
		if err != nil {
			return err
		}
		if !first {
			return errs.New(errs.Conflict, "This change is no longer on trial: it was confirmed, rolled back or replaced. Reload the page.")
		}
		if result != store.OutcomeRolledBack {
			return nil
		}
		return a.rollBack(tx, set, c, r)
	})
	if err != nil {
		return err
	}
	event := c.event(audit.AdminTrialEnded)
	event.Reason, event.Detail = result, fmt.Sprintf("%s %s, revision %d", r.Kind, r.ObjectID, r.Number)
	a.Audit.Record(ctx, event)
	if result != outcome {
		return errs.New(errs.Conflict, "The change was not rolled back: the entry has changed since, or the configuration file has it now. Look at its history.")
	}
	return nil
}

// isAsTried reports whether an entry of the pages still is what a change on trial made of it.
func isAsTried(set store.Settings, r *store.Revision) bool {
	tried, err := decode(r.After)
	current, found := find(settings.Documents(set)[r.Kind], r.ObjectID)
	return err == nil && found && current.Origin.Origin != store.OriginFile && Version(current.Doc) == Version(tried)
}

// rollBack restores the entry from before the trial as a new revision. The guard does not run, because sign-ins worked
// with that entry.
func (a *Admin) rollBack(tx *store.SettingsTx, set store.Settings, c Caller, r *store.Revision) error {
	start, err := tx.TrialStart(r)
	if err != nil {
		return err
	}
	doc, err := decode(start.Before)
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

// takeOverTrial ends the trial of an earlier change of the entry, because an entry has one trial. It reports whether the
// new change goes on trial: if it needs one itself, or if it leaves the sign-in settings that were on trial as they are.
// A change back to what worked needs none.
func takeOverTrial(tx *store.SettingsTx, p *plan, trial bool) (bool, error) {
	if p.action == store.ActionMove { // the entry stays as it is
		return trial, nil
	}
	open, err := tx.ReplaceTrial(p.kind.Name, p.id)
	if err != nil || open == nil || p.after == nil {
		return trial, err
	}
	start, err := tx.TrialStart(open)
	if err != nil {
		return false, err
	}
	worked, err := decode(start.Before)
	if err != nil || Version(worked) == Version(p.after) {
		return false, err
	}
	return trial || keepsSignIn(p), nil
}

// keepsSignIn reports whether a change leaves alone what sign-ins through a connector depend on.
func keepsSignIn(p *plan) bool {
	old := pick(p.from.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	row := pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	return old != nil && row != nil && row.Enabled == old.Enabled && store.ConnectorRevision(row) == store.ConnectorRevision(old)
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
