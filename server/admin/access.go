package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// Preview describes the effect of a change.
type Preview struct {
	Action string
	Diff   []form.Change
	// Sentences say which users gain and lose access.
	Sentences []string
	// Names are some of these users, by cluster.
	Names map[string][]string
	// Trial reports that the change must be confirmed from a new sign-in.
	Trial bool
	// RefusedError says why the change would be refused. It is empty if it would be accepted.
	Refused string
	// Uses lists what depends on the entry, for a deletion.
	Uses []string
	// Map is the difference on the access map; nil if the map stays the same. MapRules is how
	// many rules differ, of which Map has the first.
	Map      *accessmap.Map
	MapRules int
}

// Preview works out the effect of a change without making it.
func (a *Admin) Preview(ctx context.Context, c Caller, d Draft) (*Preview, error) {
	if err := a.authorize(ctx, c, WriteSettings, fmt.Sprintf("preview %s %s", d.Kind, d.ID)); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	p, err := a.makePlan(set, d)
	refused, isRefused := errors.AsType[*RefusedError](err)
	if isRefused && d.Doc == nil && len(refused.Problems) == 0 {
		return &Preview{Action: p.action, Refused: "Other entries still use this one. Change or delete them first.", Uses: refused.Elsewhere}, nil
	}
	if err != nil {
		return nil, err
	}
	return a.preview(ctx, c, p, d.Reason)
}

func (a *Admin) preview(ctx context.Context, c Caller, p *plan, reason string) (*Preview, error) {
	shape := p.after
	if shape == nil {
		shape = p.before
	}
	view := &Preview{Action: p.action, Diff: form.Diff(a.fields(p.kind.Name, shape), p.before, p.after)}
	verified, err := a.recoveryVerified(ctx, verifiedWithin)
	if err != nil {
		return nil, err
	}
	if view.Trial, err = guard(c, p, verified, reason); err != nil {
		view.Refused = errs.Message(err)
	}
	uses, err := a.uses(ctx, p)
	if err != nil {
		return nil, err
	}
	if p.action == store.ActionDelete {
		view.Uses = uses
	} else {
		view.Sentences = uses
	}
	return view, a.impact(ctx, p, view)
}

func (a *Admin) impact(ctx context.Context, p *plan, view *Preview) error {
	from, to := access.Ruleset{Rules: p.from.Rules, Clusters: p.from.Clusters}, access.Ruleset{Rules: p.to.Rules, Clusters: p.to.Clusters}
	i := access.NewImpact(from, to)
	if i.Empty() {
		return nil
	}
	difference := accessmap.NewDifference(from, to)
	add := func(u *store.User) {
		i.AddUser(u)
		difference.AddUser(u)
	}
	if err := a.Store.EachUser(ctx, add); err != nil {
		return err
	}
	if !difference.Empty() {
		whole := difference.Build(i.Gained, i.Lost)
		view.Map, view.MapRules = whole.Page(0, MapPageSize), len(whole.Rules)
	}
	view.Names = i.Examples
	clusters := slices.Sorted(maps.Keys(i.Examples))
	for _, id := range clusters {
		view.Sentences = append(view.Sentences, sentence(id, i.Gained[id], i.Lost[id]))
	}
	if len(i.NewAdmins) > 0 {
		view.Sentences = append(view.Sentences, people(len(i.NewAdmins))+" would become admin: "+some(i.NewAdmins)+".")
	}
	if len(i.FormerAdmins) > 0 {
		view.Sentences = append(view.Sentences, people(len(i.FormerAdmins))+" would no longer be admin: "+some(i.FormerAdmins)+".")
	}
	if len(view.Sentences) == 0 {
		view.Sentences = []string{"No user who has signed in gains or loses access."}
	}
	return nil
}

func some(names []string) string {
	const shown = 5
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		text += " and others"
	}
	return text
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func sentence(cluster string, gain, lose int) string {
	switch {
	case lose == 0:
		return fmt.Sprintf("%s would gain %s.", people(gain), cluster)
	case gain == 0:
		return fmt.Sprintf("%s would lose %s.", people(lose), cluster)
	}
	return fmt.Sprintf("%s would gain %s, %s would lose it.", people(gain), cluster, people(lose))
}

// disablesConnector reports whether a plan disables an enabled connector.
func disablesConnector(p *plan) bool {
	old := pick(p.from.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	row := pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	return old != nil && old.Enabled && row != nil && !row.Enabled
}

// uses lists what depends on an entry that is to be deleted or disabled.
func (a *Admin) uses(ctx context.Context, p *plan) ([]string, error) {
	if p.kind.Name != settings.Connectors || p.action != store.ActionDelete && !disablesConnector(p) {
		return nil, nil
	}
	_, total, err := a.Store.FindUsers(ctx, store.UserQuery{ConnectorID: p.id, Limit: 1})
	if err != nil || total == 0 {
		return nil, err
	}
	effect := " signed in through it. All that they hold ends at once, and a new connector with this ID does not get them back by itself."
	if p.action != store.ActionDelete {
		effect = " signed in through it. They are signed out at once. Their devices and API tokens work again when the connector is enabled again."
	}
	return []string{people(int(total)) + effect}, nil
}

// Question is a question to the access simulator.
type Question struct {
	// User is the user name of an existing user. If it is empty, Who describes a hypothetical one.
	User string
	Who  access.HypotheticalUser
	// Cluster is the id of a cluster. Empty asks about all clusters.
	Cluster string
}

// Answer is the simulator's result for one cluster.
type Answer struct {
	Who     access.HypotheticalUser
	Known   bool
	Admin   bool
	Cluster store.Cluster
	access.Explanation
}

// Simulate says whether a user may use a cluster, why, and which conditions are missing.
func (a *Admin) Simulate(ctx context.Context, c Caller, q Question) ([]Answer, error) {
	if err := a.authorize(ctx, c, ReadPeople, "simulate"); err != nil {
		return nil, err
	}
	user, known := q.Who.User(), false
	if q.User != "" {
		found, err := a.Store.UserByName(ctx, q.User)
		if errs.Is(err, errs.NotFound) {
			return nil, errs.New(errs.NotFound, "No user %s has signed in yet. Enter the groups of the user instead.", q.User)
		}
		if err != nil {
			return nil, err
		}
		user, known = found, true
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	who := access.HypotheticalUser{ConnectorID: user.ConnectorID, Name: user.KubeName, Email: user.Email, EmailVerified: user.EmailVerified, Groups: user.GroupNames}
	var answers []Answer
	for _, cluster := range set.Clusters {
		if q.Cluster != "" && q.Cluster != cluster.ID {
			continue
		}
		answers = append(answers, Answer{
			Who: who, Known: known, Admin: access.IsAdmin(set.Rules, user), Cluster: cluster, Explanation: access.Explain(set.Rules, user, &cluster),
		})
	}
	if len(answers) == 0 && q.Cluster != "" {
		return nil, errs.New(errs.NotFound, "There is no cluster %s. Check the ID.", q.Cluster)
	}
	return answers, nil
}
