package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// PreviewBulk works out the effect of a bulk action.
func (a *Admin) PreviewBulk(ctx context.Context, c Caller, b Bulk) (*BulkPreview, error) {
	if err := b.valid(); err != nil {
		return nil, err
	}
	if err := a.authorize(ctx, c, bulkScope(b), fmt.Sprintf("preview %s of %d %s", b.Act, len(b.IDs), b.List)); err != nil {
		return nil, err
	}
	switch b.List {
	case BulkPeople:
		return a.previewPeople(ctx, c, b)
	case BulkTokens:
		return a.previewTokens(ctx, c, b)
	case BulkProxies:
		return a.previewProxies(ctx, b)
	}
	if b.Act == BulkInvite {
		return &BulkPreview{Names: b.IDs, Sentences: []string{"Each user gets a link that works once, within 72 hours. Earlier invitations of these users become invalid.", "The next page shows the links. It shows them only once."}}, nil
	}
	return a.previewEntries(ctx, c, b)
}

func bulkScope(b Bulk) Scope {
	switch {
	case b.List == BulkPeople || b.Act == BulkInvite:
		return WritePeople
	case b.List == BulkTokens:
		return WriteTokens
	}
	return WriteSettings
}

// previewEntries works out the changes one after the other, each on top of the earlier ones.
func (a *Admin) previewEntries(ctx context.Context, c Caller, b Bulk) (*BulkPreview, error) {
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	verified, err := a.recoveryVerified(ctx, verifiedWithin)
	if err != nil {
		return nil, err
	}
	preview, to := &BulkPreview{}, set
	for _, id := range b.IDs {
		p, err := a.bulkPlan(to, b, id)
		if err == nil {
			_, err = guard(c, p, verified, b.Reason)
		}
		if why := bulkRefusal(err); why != "" {
			preview.Skipped = append(preview.Skipped, BulkSkip{id, why})
			continue
		}
		if err != nil {
			return nil, err
		}
		preview.Names, to = append(preview.Names, id), p.to
	}
	if err := a.bulkImpact(ctx, set, to, preview); err != nil {
		return nil, err
	}
	return preview, a.bulkUses(ctx, b, preview)
}

// bulkPlan works out one change of a bulk action.
func (a *Admin) bulkPlan(set store.Settings, b Bulk, id string) (*plan, error) {
	e, found := find(settings.Documents(set)[b.List], id)
	if !found {
		return nil, errs.New(errs.NotFound, "It was deleted. Reload the list.")
	}
	d := Draft{Kind: b.List, ID: id, Version: Version(e.Doc), Reason: b.Reason}
	if b.Act == BulkDelete {
		return a.makePlan(set, d)
	}
	on := b.Act == BulkEnable
	if (e.Doc.Get("enabled") != false) == on {
		return nil, errs.New(errs.Conflict, "It is already "+string(b.Act)+"d. Leave it out.")
	}
	d.Doc = e.Doc.Clone()
	d.Doc["enabled"] = on
	return a.makePlan(set, d)
}

// bulkRefusal returns why a change is skipped. It is empty without an error, and for an error that stops the whole
// action.
func bulkRefusal(err error) string {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Error()
	}
	switch errs.KindOf(err) {
	case errs.NotFound, errs.Denied, errs.Invalid, errs.Conflict:
		if err != nil {
			return errs.Message(err)
		}
	case errs.Internal, errs.Unauthenticated, errs.Unavailable:
	}
	return ""
}

// bulkImpact adds the users who gain and lose access.
func (a *Admin) bulkImpact(ctx context.Context, from, to store.Settings, preview *BulkPreview) error {
	p := &plan{from: from, to: to}
	view := &Preview{}
	if err := a.impact(ctx, p, view); err != nil {
		return err
	}
	preview.Sentences = append(preview.Sentences, view.Sentences...)
	return nil
}

// bulkUses adds what else depends on the entries.
func (a *Admin) bulkUses(ctx context.Context, b Bulk, preview *BulkPreview) error {
	add := func(text string) { preview.Sentences = append(preview.Sentences, text) }
	switch {
	case len(preview.Names) == 0:
		return nil
	case b.List == settings.Connectors && b.Act == BulkDisable:
		counts, err := a.Store.CountUsersByConnector(ctx)
		if err != nil {
			return err
		}
		n := int64(0)
		for _, id := range preview.Names {
			n += counts[id]
		}
		add(people(int(n)) + " signed in through it. They can no longer sign in or renew tokens.")
	case b.List == settings.Clusters:
		proxies, err := a.proxies(ctx, "")
		if err != nil {
			return err
		}
		n := 0
		for _, p := range proxies {
			if slices.Contains(preview.Names, p.ClusterID) {
				n++
			}
		}
		if n > 0 {
			add("Enrolled proxies of these clusters: " + fmt.Sprint(n) + ". They can no longer connect.")
		}
	case b.List == settings.Clients:
		add("Users can no longer sign in to these applications through Fairlead.")
	case b.List == settings.Workloads:
		add("These workloads get no new tokens.")
	}
	if b.Act == BulkDelete {
		add("The history keeps a copy of each entry that you can restore.")
	}
	return nil
}

func (a *Admin) previewPeople(ctx context.Context, c Caller, b Bulk) (*BulkPreview, error) {
	users, err := a.Store.UsersByID(ctx, b.IDs)
	if err != nil {
		return nil, err
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	preview, admins := &BulkPreview{}, 0
	var ids []string
	for i := range users {
		u := &users[i]
		if why := skipPerson(c, b.Act, u); why != "" {
			preview.Skipped = append(preview.Skipped, BulkSkip{u.KubeName, why})
			continue
		}
		preview.Names, ids = append(preview.Names, u.KubeName), append(ids, u.ID)
		if access.IsAdmin(rules, u) {
			admins++
		}
	}
	slices.Sort(preview.Names)
	if len(ids) == 0 {
		return preview, nil
	}
	return preview, a.peopleConsequences(ctx, b.Act, ids, admins, preview)
}

func skipPerson(c Caller, act BulkAct, u *store.User) string {
	switch {
	case act == BulkDisable && c.User != nil && c.User.ID == u.ID:
		return "This is your own account. Ask another admin to disable it."
	case act == BulkDisable && u.Disabled:
		return "The user is disabled already."
	case act == BulkEnable && !u.Disabled:
		return "The user is enabled already."
	}
	return ""
}

func (a *Admin) peopleConsequences(ctx context.Context, act BulkAct, ids []string, admins int, preview *BulkPreview) error {
	add := func(text string) { preview.Sentences = append(preview.Sentences, text) }
	if act == BulkEnable {
		add(people(len(ids)) + " can sign in again, with the access that the rules give them.")
		return nil
	}
	counts, err := a.Store.SessionCounts(ctx, ids, a.Now())
	if err != nil {
		return err
	}
	sessions := 0
	for _, n := range counts {
		sessions += n
	}
	add("Sessions in browsers and on devices that end at once: " + fmt.Sprint(sessions) + ". Open shells behind a proxy end too.")
	if act == BulkDisable {
		add("Disabled users can’t sign in until an admin enables them again. Ended sessions stay ended.")
	} else {
		add("The users can sign in again at once.")
	}
	if admins > 0 {
		add("Admins among them: " + fmt.Sprint(admins) + ".")
	}
	return nil
}

func (a *Admin) previewTokens(ctx context.Context, c Caller, b Bulk) (*BulkPreview, error) {
	rows, err := a.TokenRows(ctx, c)
	if err != nil {
		return nil, err
	}
	preview, used := &BulkPreview{}, 0
	for _, row := range rows {
		if !slices.Contains(b.IDs, row.ID) {
			continue
		}
		preview.Names = append(preview.Names, row.Name)
		if row.LastUsed != 0 && a.Now().Sub(row.LastUsed.Time()) < recentUse {
			used++
		}
	}
	preview.Sentences = []string{"Programs that use these tokens are refused at once. A revoked token can’t be restored."}
	if used > 0 {
		preview.Sentences = append(preview.Sentences, "Used in the last 7 days: "+fmt.Sprint(used)+" of them.")
	}
	return preview, nil
}

func (a *Admin) previewProxies(ctx context.Context, b Bulk) (*BulkPreview, error) {
	list, err := a.proxies(ctx, "")
	if err != nil {
		return nil, err
	}
	preview, connected := &BulkPreview{}, 0
	var clusters []string
	for _, p := range list {
		if !slices.Contains(b.IDs, p.ID) {
			continue
		}
		preview.Names = append(preview.Names, p.Name+" of "+p.ClusterID)
		if !p.Away {
			connected++
		}
		if !slices.Contains(clusters, p.ClusterID) {
			clusters = append(clusters, p.ClusterID)
		}
	}
	preview.Sentences = []string{
		fmt.Sprintf("Connected now: %d of them, to %s. After that these proxies no longer learn when access is revoked.", connected, countNoun(settings.Clusters, len(clusters))),
		"A removed proxy needs a new enrolment code to come back.",
	}
	return preview, nil
}

// recentUse is the age up to which a use counts as recent.
const recentUse = 7 * day
