package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Invite creates a link with which a local user sets their password.
func (a *Admin) Invite(ctx context.Context, c Caller, login string) (string, error) {
	if err := a.authorize(ctx, c, WritePeople, "invite "+login); err != nil {
		return "", err
	}
	if _, err := a.Store.AccountByLogin(ctx, login); err != nil {
		return "", err
	}
	return a.link(ctx, c, store.LinkInvite, login, inviteLife)
}

// Invitation returns the login of an invitation.
func (a *Admin) Invitation(ctx context.Context, token, address string) (string, error) {
	l, err := a.Store.Link(ctx, store.LinkInvite, secret.Hash(token), a.Now())
	if errs.Is(err, errs.NotFound) {
		a.Audit.Record(ctx, audit.Event{Name: audit.LinkRefused, Address: address, Reason: "not_good", Detail: store.LinkInvite})
		return "", errs.New(errs.Denied, "This invitation is no longer valid: it was used, or it has expired. Ask the admin who sent it for another.")
	}
	if err != nil {
		return "", err
	}
	return l.Subject, nil
}

// AcceptInvitation sets the password of a local user.
func (a *Admin) AcceptInvitation(ctx context.Context, token, password, again, address string) error {
	login, err := a.Invitation(ctx, token, address)
	if err != nil {
		return err
	}
	faults := AccountError{}
	if fault := passwordFault(password, login, MinLocalPassword); !fault.IsZero() {
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
	if err := a.Store.AcceptInvitation(ctx, secret.Hash(token), login, hash, a.Now()); err != nil {
		return err
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.PasswordSet, UserName: login, Address: address})
	return nil
}
