package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// trialTime is how long a change that could lock out its author stays on trial.
const trialTime = 5 * time.Minute

// Apply makes a change and stores it as a revision. The error is a RefusedError, an OutdatedError, or has a kind.
// With an error nothing has changed.
func (a *Admin) Apply(ctx context.Context, c Caller, d Draft) (*store.Revision, error) {
	what := fmt.Sprintf("change %s %s", d.Kind, d.ID)
	if err := a.authorizeWrite(ctx, c, what); err != nil {
		return nil, err
	}
	return a.apply(ctx, c, d)
}

func (a *Admin) apply(ctx context.Context, c Caller, d Draft) (*store.Revision, error) {
	if len(d.Reason) > maxReason {
		return nil, errs.New(errs.Invalid, "The reason is too long. Enter at most %d characters.", maxReason)
	}
	// This query comes before the transaction, because the pool may have one connection only.
	verified, err := a.recoveryVerified(ctx, verifiedWithin)
	if err != nil {
		return nil, err
	}
	var revision *store.Revision
	err = a.Store.UpdateSettings(ctx, func(tx *store.SettingsTx) error {
		set, err := tx.All()
		if err != nil {
			return err
		}
		c, err := callerNow(tx, set, c)
		if err != nil {
			return err
		}
		p, err := a.makePlan(set, d)
		if err != nil {
			return err
		}
		trial, err := guard(c, p, verified, d.Reason)
		if err != nil {
			return err
		}
		revision, err = a.write(tx, c, p, d.Reason)
		if err != nil {
			return err
		}
		return a.file(tx, p, revision, trial)
	})
	if err != nil {
		if errs.Is(err, errs.Denied) { // a rejected draft is not an access decision, so it is not recorded
			a.recordRefusal(ctx, c, "guard", fmt.Sprintf("%s %s: %v", d.Kind, d.ID, err))
		}
		return nil, err
	}
	if err := a.Refresh(ctx); err != nil {
		a.Logger.WarnContext(ctx, "settings not taken over yet", "error", err)
	}
	event := c.event(audit.AdminChanged)
	event.Reason, event.Detail = revision.Action, fmt.Sprintf("%s %s, revision %d", revision.Kind, revision.ObjectID, revision.Number)
	a.Audit.Record(ctx, event)
	return revision, nil
}

// callerNow returns the caller with the user of now. The error's kind is Denied if the configuration of the transaction
// gives them no right to change it.
func callerNow(tx *store.SettingsTx, set store.Settings, c Caller) (Caller, error) {
	if c.User == nil { // the command line
		return c, nil
	}
	user, err := tx.User(c.User.ID)
	if err != nil {
		return c, err
	}
	c.User = user
	_, err = decide(set.Rules, c, WriteSettings)
	return c, err
}

const maxReason = 500

// write writes the row and prepares its revision.
func (a *Admin) write(tx *store.SettingsTx, c Caller, p *plan, reason string) (*store.Revision, error) {
	if err := a.writeRow(tx, p); err != nil {
		return nil, err
	}
	before, errBefore := encode(p.before)
	after, errAfter := encode(p.after)
	r := &store.Revision{
		Time: store.At(a.Now()), Kind: p.kind.Name, ObjectID: p.id, Action: p.action, AuthorName: c.name(), Reason: reason,
		Before: before, After: after, Outcome: store.OutcomeApplied,
	}
	if c.User != nil {
		r.AuthorID = c.User.ID
	}
	return r, errors.Join(errBefore, errAfter)
}

func (a *Admin) writeRow(tx *store.SettingsTx, p *plan) error {
	switch p.action {
	case store.ActionDelete:
		return remove(tx, p.kind.Name, p.id, a.Now())
	case store.ActionMove:
		return writePositions(tx, p)
	}
	return tx.Put(p.row(), a.Now())
}

func (a *Admin) file(tx *store.SettingsTx, p *plan, r *store.Revision, trial bool) error {
	trial, err := takeOverTrial(tx, p, trial)
	if err != nil {
		return err
	}
	if trial {
		r.Outcome, r.TrialUntil = store.OutcomeTrial, store.At(a.Now().Add(trialTime))
	}
	return tx.AddRevision(r)
}

func encode(doc form.Doc) (string, error) {
	if doc == nil {
		return "", nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("encoding document: %w", err)
	}
	return string(text), nil
}

// decode reads a document of a revision. It returns nil if the revision has none.
func decode(text string) (form.Doc, error) {
	if text == "" {
		return nil, nil
	}
	var doc form.Doc
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("reading revision: %w", err)
	}
	return doc, nil
}

// replacing returns a draft that replaces an entry with a document, whatever its version is.
func (a *Admin) replacing(set store.Settings, kind, id string, doc form.Doc, reason string) Draft {
	d := Draft{Kind: kind, ID: id, Doc: doc, Reason: reason, asIs: true}
	current, there := find(settings.Documents(set)[kind], id)
	if there {
		d.Version = Version(current.Doc)
	} else {
		d.ID = ""
	}
	return d
}
