package admin

import (
	"context"
	"errors"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// BeginPasskeyRegistration starts the registration of a passkey for a new recovery account. It returns nil if the site cannot
// have passkeys because its address is an IP address.
func (a *Admin) BeginPasskeyRegistration() (mfa.Ceremony, error) {
	if a.Passkeys == nil {
		return mfa.Ceremony{}, nil
	}
	return a.Passkeys.BeginDiscoverableRegistration("Recovery")
}

// BeginPasskeyLogin asks the browser for the passkey of a recovery account. It returns nil if the site cannot have
// passkeys.
func (a *Admin) BeginPasskeyLogin() (mfa.Ceremony, error) {
	if a.Passkeys == nil {
		return mfa.Ceremony{}, nil
	}
	return a.Passkeys.BeginDiscoverableLogin()
}

// newPasskey returns the stored form of a passkey.
func (a *Admin) newPasskey(p PasskeyAnswer) (store.Factor, error) {
	refused := AccountError{"passkey": i18n.T("The passkey was not made. Try again, or choose a password.")}
	if a.Passkeys == nil {
		return store.Factor{}, refused
	}
	key, err := a.Passkeys.FinishDiscoverableRegistration(p.Kept, p.Answer)
	if errors.Is(err, mfa.ErrPasskey) {
		return store.Factor{}, refused
	}
	return store.Factor{Kind: store.FactorPasskey, Label: "Passkey", Data: string(key), Created: store.At(a.Now())}, err
}

// errRecoveryKey does not reveal whether the account exists.
var errRecoveryKey = errs.New(errs.Unauthenticated, "The passkey was not accepted: it does not belong to a recovery account, or it was used before. Try again, or use the password.")

func (a *Admin) recoverWithPasskey(ctx context.Context, proof RecoveryProof, address string) (*store.User, error) {
	attempt := ratelimit.Passkey(address)
	verdict, err := a.Limit.Attempt(ctx, attempt)
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		return nil, errs.New(errs.Unauthenticated, "Too many attempts have failed. Try again in %d minutes.", int(verdict.Wait.Minutes())+1)
	}
	account, err := a.usePasskey(ctx, proof.Passkey)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.Limit.Undo(ctx, attempt), a.Store.RecordRecoverySignIn(ctx, account.ID, a.Now())); err != nil {
		return nil, err
	}
	return a.recoveryUser(ctx, account)
}

// usePasskey finds the account of a passkey response and marks the response as used.
func (a *Admin) usePasskey(ctx context.Context, p PasskeyAnswer) (*store.RecoveryAccount, error) {
	if a.Passkeys == nil {
		return nil, errRecoveryKey
	}
	accounts, err := a.Store.RecoveryAccounts(ctx)
	if err != nil {
		return nil, err
	}
	var owners []*store.RecoveryAccount
	var rows []store.Factor
	var keys [][]byte
	for i := range accounts {
		factors, err := a.Store.Factors(ctx, accounts[i].ID)
		if err != nil {
			return nil, err
		}
		for _, f := range factors {
			if f.Kind == store.FactorPasskey {
				owners, rows, keys = append(owners, &accounts[i]), append(rows, f), append(keys, []byte(f.Data))
			}
		}
	}
	used, err := a.Passkeys.FinishDiscoverableLogin(keys, p.Kept, p.Answer)
	if errors.Is(err, mfa.ErrPasskey) {
		return nil, errRecoveryKey
	}
	if err != nil {
		return nil, err
	}
	first, err := used.Consume(ctx, a.Limit, rows[used.Index])
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, errRecoveryKey
	}
	return owners[used.Index], nil
}
