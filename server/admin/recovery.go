package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// The lifetimes of links.
const (
	setupLife    = time.Hour
	recoveryLife = 10 * time.Minute
	inviteLife   = 72 * time.Hour
)

// MinPassword is the least length of a recovery account's password, and MinLocalPassword of a local user's.
const (
	MinPassword      = 16
	MinLocalPassword = 12
)

// NeedsSetup reports whether this server has neither an admin rule nor a recovery account, so that no user can
// administer it.
func (a *Admin) NeedsSetup(ctx context.Context) (bool, error) {
	accounts, err := a.Store.RecoveryAccounts(ctx)
	if err != nil || len(accounts) > 0 {
		return false, err
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(rules, func(r store.AccessRule) bool { return r.Admin }), nil
}

// newLink describes a link. The audit event shows the name of its subject.
type newLink struct {
	purpose, subject, name string
	life                   time.Duration
}

// link creates a link and returns its token.
func (a *Admin) link(ctx context.Context, c Caller, l newLink) (string, error) {
	token, now := secret.Token().Reveal(), a.Now()
	err := a.Store.CreateLink(ctx, store.Link{
		Hash: secret.Hash(token), Purpose: l.purpose, Subject: l.subject, Created: store.At(now), Expires: store.At(now.Add(l.life)),
	}, now)
	if err != nil {
		return "", err
	}
	event := c.event(audit.LinkCreated)
	event.Reason, event.Detail = l.purpose, l.name
	a.Audit.Record(ctx, event)
	return token, nil
}

// SetupLink creates the link to the first recovery account. Only the command line and the start of the server call
// it. Once there is an admin it is refused; use a recovery link instead.
func (a *Admin) SetupLink(ctx context.Context) (string, error) {
	needed, err := a.NeedsSetup(ctx)
	if err != nil {
		return "", err
	}
	if !needed {
		return "", errs.New(errs.Denied, "This server is already set up, so it gives no setup link. If no admin can sign in, run `fairlead admin recovery-link`.")
	}
	return a.link(ctx, Caller{Shell: "fairlead"}, newLink{purpose: store.LinkSetup, life: setupLife})
}

// RecoveryLink creates a link to a new recovery account, or to new credentials for an existing one. Only the
// command line calls it, whose user has the data key anyway.
func (a *Admin) RecoveryLink(ctx context.Context) (string, error) {
	return a.link(ctx, Caller{Shell: "fairlead"}, newLink{purpose: store.LinkRecovery, life: recoveryLife})
}

// OpenLink returns the purpose of a valid setup or recovery link. A setup link becomes invalid when an admin
// exists.
func (a *Admin) OpenLink(ctx context.Context, token, address string) (string, error) {
	for _, purpose := range []string{store.LinkSetup, store.LinkRecovery} {
		if good, err := a.isGood(ctx, purpose, token); err != nil || good {
			return purpose, err
		}
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.LinkRefused, Address: address, Reason: "not_good"})
	return "", errs.New(errs.Denied, "This link is no longer valid: it was used, or it has expired. Run `fairlead admin setup-link` or `fairlead admin recovery-link` on the server to get another.")
}

func (a *Admin) isGood(ctx context.Context, purpose, token string) (bool, error) {
	_, err := a.Store.Link(ctx, purpose, secret.Hash(token), a.Now())
	switch {
	case errs.Is(err, errs.NotFound):
		return false, nil
	case err != nil:
		return false, err
	case purpose == store.LinkSetup: // the log of the first start contains the link
		return a.NeedsSetup(ctx)
	}
	return true, nil
}

// NewAccount holds the credentials that a user chooses for a recovery account.
type NewAccount struct {
	Login, Password, Again string
	// TOTP is the secret of the authenticator app. Code is a code of the app.
	TOTP, Code string
	// Passkey, when set, replaces the password and the code.
	Passkey PasskeyAnswer
}

// PasskeyAnswer is a browser's WebAuthn response, with the data kept from the request.
type PasskeyAnswer struct{ Kept, Answer string }

// faults lists the faults of the credentials by field.
func (n NewAccount) faults(now time.Time) AccountError {
	faults := AccountError{}
	if err := kubenames.Check(n.Login); err != nil || len(n.Login) > 64 {
		faults["login"] = i18n.T("Choose a name of letters and digits, at most 64.")
	}
	if n.Passkey.Answer != "" {
		return faults
	}
	if fault := passwordFault(n.Password, n.Login, MinPassword); !fault.IsZero() {
		faults["password"] = fault
	} else if n.Password != n.Again {
		faults["again"] = i18n.T("The two passwords differ.")
	}
	if _, ok := mfa.CheckCode(n.TOTP, n.Code, now); !ok {
		faults["code"] = i18n.T("This is not the code that the app shows now. Check the clock of your phone.")
	}
	return faults
}

// passwordFault says why a password is not accepted.
func passwordFault(password, login string, least int) i18n.Text {
	switch {
	case len([]rune(password)) < least:
		return i18n.T("Use at least %d characters, such as a few unrelated words.", least)
	case len(password) > 1024:
		return i18n.T("Use at most 1024 characters.")
	case strings.Contains(strings.ToLower(password), strings.ToLower(login)):
		return i18n.T("The password must not contain the name.")
	case len(distinct(password)) < least/3:
		return i18n.T("Use more different characters.")
	}
	return i18n.Text{}
}

func distinct(text string) map[rune]bool {
	set := map[rune]bool{}
	for _, r := range text {
		set[r] = true
	}
	return set
}

// AccountError lists the faults of the credentials by field. Its kind is Invalid.
type AccountError map[string]i18n.Text

// Error implements error.
func (f AccountError) Error() string { return "the account can't be made like this" }

// Unwrap returns an error with the kind.
func (f AccountError) Unwrap() error {
	return errs.New(errs.Invalid, "The account was not created: some values are not valid. Correct the marked fields.")
}

// CreateAccount spends a setup or recovery link and creates the recovery account. The caller then starts a session.
func (a *Admin) CreateAccount(ctx context.Context, token, address string, n NewAccount) (*store.User, error) {
	purpose, err := a.OpenLink(ctx, token, address)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	if faults := n.faults(now); len(faults) > 0 {
		return nil, faults
	}
	account := store.RecoveryAccount{Login: n.Login, Created: store.At(now), Verified: store.At(now)}
	var credential store.Factor
	if n.Passkey.Answer != "" {
		credential, err = a.newPasskey(n.Passkey)
	} else {
		account.PasswordHash, credential, err = a.newPassword(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	made, err := a.Store.CreateRecoveryAccount(ctx, purpose, secret.Hash(token), account, credential)
	if err != nil {
		return nil, err
	}
	user, err := a.recoveryUser(ctx, made)
	if err != nil {
		return nil, err
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.RecoveryUsed, UserID: user.ID, UserName: user.KubeName, Address: address, Reason: purpose, ConnectorID: store.RecoveryConnectorID})
	a.Logger.WarnContext(ctx, "recovery account made", "user", user.KubeName, "address", address)
	return user, nil
}

// newPassword returns the stored form of a password and an authenticator app.
func (a *Admin) newPassword(ctx context.Context, n NewAccount) (hash string, app store.Factor, err error) {
	now := a.Now()
	step, _ := mfa.CheckCode(n.TOTP, n.Code, now)
	hash, err = a.Hasher.Hash(ctx, n.Password)
	return hash, store.Factor{Kind: store.FactorTOTP, Label: "Authenticator app", Data: n.TOTP, LastStep: step, Created: store.At(now)}, err
}

// recoveryUser returns the user of a recovery account.
func (a *Admin) recoveryUser(ctx context.Context, account *store.RecoveryAccount) (*store.User, error) {
	user, _, err := a.Store.SignInUser(ctx, store.ResolvedIdentity{
		ConnectorID: store.RecoveryConnectorID, KubeName: store.RecoveryConnectorID + ":" + account.Login,
		Identity: connectors.Identity{Subject: account.ID, Username: account.Login, Name: account.Login + " (recovery)"},
	}, a.Now())
	return user, err
}

// errRecovery is the same for a wrong name, password and code, so that guesses reveal nothing.
var errRecovery = errs.New(errs.Unauthenticated, "The sign-in failed: the name, the password or the code is wrong. Try again with a new code.")

// Recover signs in with a recovery account. It records each success and each failure.
func (a *Admin) Recover(ctx context.Context, proof RecoveryProof, address string) (*store.User, error) {
	prove := a.recover
	if proof.Passkey.Answer != "" {
		prove = a.recoverWithPasskey
	}
	user, err := prove(ctx, proof, address)
	if err == nil && user.Disabled {
		err = errs.New(errs.Denied, "The recovery account %s is disabled. Run `fairlead admin recovery-link` on the server, which gives it new credentials and enables it.", user.Login)
	}
	if err == nil {
		a.Audit.Record(ctx, audit.Event{Name: audit.RecoveryUsed, UserID: user.ID, UserName: user.KubeName, Address: address, Reason: "signed_in", ConnectorID: store.RecoveryConnectorID})
		a.Logger.WarnContext(ctx, "recovery account used", "user", user.KubeName, "address", address)
		return user, nil
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.RecoveryFailed, Address: address, Reason: string(errs.KindOf(err))})
	return nil, err
}

// RecoveryProof holds the credentials of a recovery sign-in: a name with a password and a code, or a passkey.
type RecoveryProof struct {
	Login, Password, Code string
	Passkey               PasskeyAnswer
}

func (a *Admin) recover(ctx context.Context, proof RecoveryProof, address string) (*store.User, error) {
	attempt := ratelimit.Password(store.RecoveryConnectorID, proof.Login, address)
	verdict, err := a.Limit.Attempt(ctx, attempt)
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		return nil, errs.New(errs.Unauthenticated, "Too many attempts have failed. Try again in %d minutes.", int(verdict.Wait.Minutes())+1)
	}
	account, err := a.Store.RecoveryAccount(ctx, proof.Login)
	if errs.Is(err, errs.NotFound) {
		account, err = &store.RecoveryAccount{}, nil // checking an empty hash takes as long as a wrong password
	}
	if err != nil {
		return nil, err
	}
	result, err := a.Hasher.Check(ctx, account.PasswordHash, proof.Password)
	if err != nil || !result.Match {
		return nil, errRecovery
	}
	if err := a.useCode(ctx, account.ID, proof.Code); err != nil {
		return nil, err
	}
	if err := errors.Join(a.Limit.Undo(ctx, attempt), a.Store.RecordRecoverySignIn(ctx, account.ID, a.Now())); err != nil {
		return nil, err
	}
	return a.recoveryUser(ctx, account)
}

// useCode verifies a code of an authenticator app and marks it as used.
func (a *Admin) useCode(ctx context.Context, owner, code string) error {
	factors, err := a.Store.Factors(ctx, owner)
	if err != nil {
		return err
	}
	for _, f := range factors {
		if f.Kind != store.FactorTOTP {
			continue
		}
		step, ok := mfa.CheckCode(f.Data, code, a.Now())
		if !ok {
			continue
		}
		first, err := a.Store.ConsumeFactorStep(ctx, f.ID, step, a.Now())
		if err != nil || first {
			return err
		}
	}
	return errRecovery
}

// RecoveryAccounts lists the recovery accounts without their credentials.
func (a *Admin) RecoveryAccounts(ctx context.Context, c Caller) ([]store.RecoveryAccount, error) {
	if err := a.authorize(ctx, c, ReadPeople, "list recovery accounts"); err != nil {
		return nil, err
	}
	accounts, err := a.Store.RecoveryAccounts(ctx)
	for i := range accounts {
		accounts[i].PasswordHash = ""
	}
	return accounts, err
}
