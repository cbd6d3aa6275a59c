package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// Invite creates a link with which a local user sets their password.
func (a *Admin) Invite(ctx context.Context, c Caller, login string) (string, error) {
	if err := a.authorize(ctx, c, WritePeople, "invite "+login); err != nil {
		return "", err
	}
	account, err := a.Store.AccountByLogin(ctx, login)
	if err != nil {
		return "", err
	}
	isAdmin, err := a.isAdminAccount(ctx, account)
	if err != nil {
		return "", err
	}
	if isAdmin { // its password makes an admin of the person who sets it
		if err := a.authorize(ctx, c, WriteSettings, "invite the admin "+login); err != nil {
			return "", err
		}
	}
	return a.link(ctx, c, newLink{purpose: store.LinkInvite, subject: account.ID, name: account.Login, life: inviteLife})
}

// isAdminAccount reports whether signing in with a local account makes an admin: by what the account says now, or by what
// it said at its last sign-in.
func (a *Admin) isAdminAccount(ctx context.Context, account local.Account) (bool, error) {
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return false, err
	}
	for _, row := range set.Connectors {
		if !row.IsLocal() {
			continue
		}
		name, id, refused := connectors.ResolveIdentity(account.Identity(), row.Prefixes(set.Connectors))
		if refused != nil { // the account can't sign in
			continue
		}
		if access.IsAdmin(set.Rules, store.UnsavedUser(row.ID, name, id)) {
			return true, nil
		}
		known, err := a.Store.UserByName(ctx, name)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return false, err
		}
		if err == nil && access.IsAdmin(set.Rules, known) {
			return true, nil
		}
	}
	return false, nil
}

// Invitation returns the login of an invitation.
func (a *Admin) Invitation(ctx context.Context, token, address string) (string, error) {
	account, err := a.invited(ctx, token, address)
	return account.Login, err
}

// invited returns the account of an invitation. An invitation ends with its account: another account of the same name
// needs its own.
func (a *Admin) invited(ctx context.Context, token, address string) (account local.Account, err error) {
	l, err := a.Store.Link(ctx, store.LinkInvite, secret.Hash(token), a.Now())
	if err == nil {
		account, err = a.Store.AccountByID(ctx, l.Subject)
	}
	if errs.Is(err, errs.NotFound) {
		a.Audit.Record(ctx, audit.Event{Name: audit.LinkRefused, Address: address, Reason: "not_good", Detail: store.LinkInvite})
		return account, errs.New(errs.Denied, "This invitation is no longer valid: it was used, or it has expired. Ask the admin who sent it for another.")
	}
	return account, err
}

// AcceptInvitation sets the password of a local user.
func (a *Admin) AcceptInvitation(ctx context.Context, token, password, again, address string) error {
	account, err := a.invited(ctx, token, address)
	if err != nil {
		return err
	}
	faults := AccountError{}
	if fault := passwordFault(password, account.Login, MinLocalPassword); !fault.IsZero() {
		faults["password"] = fault
	} else if password != again {
		faults["again"] = i18n.T("The two passwords differ.")
	}
	if len(faults) > 0 {
		return faults
	}
	hash, err := a.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	if err := a.Store.AcceptInvitation(ctx, secret.Hash(token), account.ID, hash, a.Now()); err != nil {
		return err
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.PasswordSet, UserName: account.Login, Address: address})
	return nil
}
