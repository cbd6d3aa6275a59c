package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// verifiedWithin is the largest age of a recovery account's last sign-in for a change that relies on the recovery
// account.
const verifiedWithin = 24 * time.Hour

// guard refuses changes that would lock out all admins, and connectors that would be enabled without a test or a
// reason. It says whether a change must go on trial. verified reports that a recovery account was used recently.
func guard(c Caller, p *plan, verified bool, reason string) (trial bool, err error) {
	if err := guardTest(p, reason); err != nil {
		return false, err
	}
	if hasAdmins(p.from) && !hasAdmins(p.to) {
		return false, errs.New(errs.Denied, "The change was refused: this is the last admin rule, and without it no user is an admin. Create another admin rule first.")
	}
	if c.User == nil || c.User.ConnectorID == store.RecoveryConnectorID {
		return false, nil
	}
	if access.IsAdmin(p.from.Rules, c.User) && !access.IsAdmin(p.to.Rules, after(p, c.User)) {
		return false, errs.New(errs.Denied, "The change was refused: you would no longer be an admin. Ask another admin, or sign in with the recovery account.")
	}
	return guardConnector(c, p, verified)
}

// guardTest refuses to enable a connector whose settings have passed no test sign-in, unless the admin gives a reason.
func guardTest(p *plan, reason string) error {
	if p.kind.Name != settings.Connectors || strings.TrimSpace(reason) != "" {
		return nil
	}
	old := pick(p.from.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	row := pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	if row == nil || !row.Enabled || old != nil && old.Enabled || row.Tested == store.ConnectorRevision(row) {
		return nil
	}
	return errs.New(errs.Invalid, "The connector was not enabled: no test sign-in has passed with these settings. Test the sign-in, or enter a reason to enable it without a test.")
}

func hasAdmins(set store.Settings) bool {
	return slices.ContainsFunc(set.Rules, func(r store.AccessRule) bool { return r.Admin })
}

// after is the user with the changed local account.
func after(p *plan, user *store.User) *store.User {
	if p.kind.Name != settings.LocalUsers || kubenames.Key(p.id) != kubenames.Key(user.Login) {
		return user
	}
	through := pick(p.from.Connectors, user.ConnectorID, func(r *store.Connector) string { return r.ID })
	if through == nil || through.Type != "local" {
		return user
	}
	changed := *user
	changed.GroupNames = nil
	account := pick(p.to.LocalUsers, p.id, func(r *store.LocalUser) string { return r.Login })
	if account == nil {
		changed.Disabled = true
		return &changed
	}
	for _, group := range account.GroupNames {
		changed.GroupNames = append(changed.GroupNames, through.GroupPrefix+group)
	}
	return &changed
}

// guardConnector checks changes of the connector that the author signed in with.
func guardConnector(c Caller, p *plan, verified bool) (trial bool, err error) {
	if p.kind.Name != settings.Connectors || p.id != c.User.ConnectorID || p.before == nil {
		return false, nil
	}
	old := pick(p.from.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	row := pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	if row != nil && row.Enabled == old.Enabled {
		return store.ConnectorRevision(row) != store.ConnectorRevision(old), nil
	}
	if row != nil && row.Enabled {
		return false, nil
	}
	if verified {
		return false, nil
	}
	return false, errs.New(errs.Denied,
		"The change was refused: you signed in through this connector and could lose access. Sign in with the recovery account first, and repeat the change within 24 hours.")
}

// recoveryVerified reports whether an admin signed in with a recovery account within verifiedWithin.
func (a *Admin) recoveryVerified(ctx context.Context, within time.Duration) (bool, error) {
	accounts, err := a.Store.RecoveryAccounts(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(accounts, func(r store.RecoveryAccount) bool {
		return r.Verified != 0 && a.Now().Sub(r.Verified.Time()) <= within
	}), nil
}
