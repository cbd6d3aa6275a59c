package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// ConnectorState is the state of a connector.
type ConnectorState string

// The states of a connector.
const (
	StateDraft   ConnectorState = "draft"
	StateTested  ConnectorState = "tested"
	StateEnabled ConnectorState = "enabled"
	StateFailing ConnectorState = "failing"
)

// ConnectorInfo is a connector in the list.
type ConnectorInfo struct {
	ID, Name, Type, Label, Icon string
	State                       ConnectorState
	// Fault says why the connector fails, and Since since when.
	Fault      string
	Since      time.Time
	Hidden     bool
	LastSignIn time.Time
	Origin     store.Origin
}

// Connectors lists the connectors in the order of the sign-in page.
func (a *Admin) Connectors(ctx context.Context, c Caller) ([]ConnectorInfo, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list connectors"); err != nil {
		return nil, err
	}
	rows, err := a.Store.Connectors(ctx)
	if err != nil {
		return nil, err
	}
	last, err := a.Store.LastSignIns(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]ConnectorInfo, len(rows))
	for i, r := range rows {
		info := ConnectorInfo{
			ID: r.ID, Name: r.Name, Type: r.Type, Label: a.Types[r.Type].Label, Icon: a.Types[r.Type].Icon, Hidden: r.Hidden, Origin: r.Origin, LastSignIn: last[r.ID].Time(), State: state(&r),
		}
		if since, fault := a.Upstream.Fault(r.ID); info.State == StateEnabled && fault != nil {
			info.State, info.Fault, info.Since = StateFailing, fault.Error(), since
		}
		list[i] = info
	}
	return list, nil
}

func state(r *store.Connector) ConnectorState {
	switch {
	case r.Enabled:
		return StateEnabled
	case r.Tested != "" && r.Tested == r.Revision:
		return StateTested
	}
	return StateDraft
}

// Enable enables or disables a connector. Enabling requires a passed test sign-in with exactly these settings, or a
// reason.
func (a *Admin) Enable(ctx context.Context, c Caller, id string, on bool, reason string) (*store.Revision, error) {
	if err := a.authorizeWrite(ctx, c, fmt.Sprintf("enable connector %s: %t", id, on)); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	e, found := find(settings.Documents(set)[settings.Connectors], id)
	if !found {
		return nil, errUnknownEntry(settings.Kinds()[0], id)
	}
	doc := e.Doc.Clone()
	doc["enabled"] = on
	return a.apply(ctx, c, Draft{Kind: settings.Connectors, ID: id, Doc: doc, Version: Version(e.Doc), Reason: reason})
}

// ConnectorDraft is a connector with unsaved settings.
type ConnectorDraft struct {
	// ID is the id of the edited connector. Empty means a new one.
	ID string
	// Doc holds the settings of the form. A missing secret is taken from the stored connector, unless the settings
	// would send it to another host.
	Doc form.Doc
}

// draft validates unsaved settings. The error is a RefusedError if they have faults.
func (a *Admin) draft(ctx context.Context, t ConnectorDraft) (*store.Connector, error) {
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	d := Draft{Kind: settings.Connectors, ID: t.ID, Doc: t.Doc}
	if e, found := find(settings.Documents(set)[settings.Connectors], t.ID); found {
		d.Version = Version(e.Doc)
		if e.Origin.Origin == store.OriginFile { // settings from the configuration file may be tested unchanged
			return pick(set.Connectors, t.ID, func(r *store.Connector) string { return r.ID }), nil
		}
	}
	p, err := a.makePlan(set, d)
	if err != nil {
		return nil, err
	}
	return pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID }), nil
}

// Fill returns values for fields of a connector's form, for example from its upstream's metadata. It saves nothing.
func (a *Admin) Fill(ctx context.Context, c Caller, t ConnectorDraft, filler, text string) (map[string]any, error) {
	if err := a.authorize(ctx, c, WriteSettings, "fill in connector "+t.ID); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	stored, id := form.Doc{}, t.Doc.Text("id")
	if e, found := find(settings.Documents(set)[settings.Connectors], t.ID); found {
		stored, id = e.Doc, t.ID
	}
	config, _ := stored.Get("config").(map[string]any)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, f := range a.Types[t.Doc.Text("type")].Fillers {
		if f.Name == filler {
			return a.Upstream.Fill(ctx, id, f, text, config)
		}
	}
	return nil, errs.New(errs.Invalid, "This type of connector can’t fill in its form in this way. Reload the page.")
}

// checkTimeout is the deadline of Check and Fill.
const checkTimeout = 15 * time.Second

// Check tests settings without a user.
func (a *Admin) Check(ctx context.Context, c Caller, t ConnectorDraft) ([]connectors.Finding, error) {
	if err := a.authorize(ctx, c, WriteSettings, "check connector "+t.ID); err != nil {
		return nil, err
	}
	row, err := a.draft(ctx, t)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	findings, err := a.Upstream.CheckDraft(ctx, row)
	if err != nil {
		return nil, err
	}
	a.recordTest(ctx, c, row.ID, "settings", verdict(findings))
	return findings, nil
}

func verdict(findings []connectors.Finding) string {
	for _, f := range findings {
		if f.State == connectors.Failed {
			return f.Step + ": " + f.Detail
		}
	}
	return "passed"
}

func (a *Admin) recordTest(ctx context.Context, c Caller, id, depth, how string) {
	event := c.event(audit.ConnectorTested)
	event.Reason, event.Detail = depth, id+": "+how
	a.Audit.Record(ctx, event)
}

// LookupResult is the result of a lookup or test sign-in.
type LookupResult struct {
	// Revision is the tested revision of the settings.
	Revision string
	// Attributes are the user's attributes at the upstream, if the connector returns them.
	Attributes map[string][]string
	Identity   connectors.Identity
	// KubeName and Groups are what clusters would see.
	KubeName string
	Groups   []string
	// Clusters are the clusters that the user could use. Admin reports whether the user would be an admin.
	Clusters []access.Allowed
	Admin    bool
	Warnings []string
	// Fault says why the sign-in failed. Remedy says what to change.
	Fault, Remedy string
	Took          time.Duration
}

// Lookup looks up a user with unsaved settings.
func (a *Admin) Lookup(ctx context.Context, c Caller, t ConnectorDraft, username string) (*LookupResult, error) {
	if err := a.authorize(ctx, c, WriteSettings, "look up through connector "+t.ID); err != nil {
		return nil, err
	}
	row, err := a.draft(ctx, t)
	if err != nil {
		return nil, err
	}
	began := a.Now()
	found, err := a.Upstream.LookupDraft(ctx, row, username)
	if err != nil {
		a.recordTest(ctx, c, row.ID, "look_up", err.Error())
		result := a.failed(row, err, began)
		if errors.Is(err, connectors.ErrBadCredentials) {
			result.Fault, result.Remedy = "No user has this name.", "Check the spelling and the search settings. For a directory these are the base DN, the user filter and the user name attribute."
		}
		return result, nil
	}
	a.recordTest(ctx, c, row.ID, "look_up", "passed")
	result, err := a.lookupResult(ctx, row, found.Identity)
	if err != nil {
		return nil, err
	}
	result.Attributes, result.Took = found.Attributes, a.Now().Sub(began)
	result.Warnings = append(found.Notes, result.Warnings...)
	return result, nil
}

func (a *Admin) failed(row *store.Connector, err error, began time.Time) *LookupResult {
	fault, remedy := a.Upstream.Explain(err)
	return &LookupResult{Revision: store.ConnectorRevision(row), Fault: fault, Remedy: remedy, Took: a.Now().Sub(began)}
}

// found applies prefixes to an identity and works out the user's access.
func (a *Admin) lookupResult(ctx context.Context, row *store.Connector, id connectors.Identity) (*LookupResult, error) {
	f := &LookupResult{Revision: store.ConnectorRevision(row), Identity: id}
	f.Identity.Data = nil
	all, err := a.Store.Connectors(ctx)
	if err != nil {
		return nil, err
	}
	name, resolved, refused := connectors.ResolveIdentity(id, row.Prefixes(all))
	if refused != nil {
		f.Fault, f.Remedy = a.Upstream.Explain(refused)
		return f, nil
	}
	f.KubeName, f.Groups = name, resolved.Groups
	user := store.UnsavedUser(row.ID, name, resolved)
	if f.Clusters, err = (&access.Policy{Store: a.Store, Audit: a.Audit}).Clusters(ctx, user); err != nil {
		return nil, err
	}
	if f.Admin, err = a.IsAdmin(ctx, user); err != nil {
		return nil, err
	}
	f.Warnings, err = a.warnings(ctx, row, user)
	for _, g := range resolved.LeftOut {
		f.Warnings = append(f.Warnings, fmt.Sprintf("The group %q is left out: its name %s. Rename it at the provider if access rules need it.", g.Name, g.Reason))
	}
	return f, err
}

// warnings describes settings that work and may still surprise.
func (a *Admin) warnings(ctx context.Context, row *store.Connector, u *store.User) ([]string, error) {
	var list []string
	switch {
	case u.Email == "":
		list = append(list, "The user has no email address: rules for email domains don’t cover this user.")
	case !u.EmailVerified:
		list = append(list, "The provider has not verified the email address: rules for email domains don’t cover this user.")
	}
	if len(u.GroupNames) == 0 {
		list = append(list, "The user has no groups: only rules for users, email domains or everyone cover this user.")
	}
	if slices.ContainsFunc(u.GroupNames, func(g string) bool { return objectID(strings.TrimPrefix(g, row.GroupPrefix)) }) {
		list = append(list, "The groups are object IDs, which make rules hard to read. Configure the provider to send group names.")
	}
	if u.Subject == u.Login || u.Subject == u.Email {
		list = append(list, "The user ID is the same as the user name or the email address. Both can change and pass to another user. Choose another attribute for the ID.")
	}
	other, err := a.Store.UserByName(ctx, u.KubeName)
	if err == nil && (other.ConnectorID != u.ConnectorID || other.Subject != u.Subject) {
		list = append(list, "The name "+u.KubeName+" belongs to another account: this user could not sign in.")
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	return list, nil
}

// objectID reports whether text looks like a UUID.
func objectID(text string) bool {
	return len(text) == 36 && strings.Count(text, "-") == 4 && text[8] == '-'
}
