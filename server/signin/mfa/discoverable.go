package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// BeginDiscoverableRegistration starts the registration of a passkey that works without a user name. The device
// stores the account name with it, and verifies its owner before each use (WebAuthn "user verification").
func (p *Passkeys) BeginDiscoverableRegistration(label string) (Ceremony, error) {
	o := credentialOwner{Owner: Owner{ID: secret.ID("key"), Name: label, Label: label}}
	creation, session, err := p.site.BeginRegistration(o, webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
	}))
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(creation.Response, session)
}

// FinishDiscoverableRegistration verifies the response to BeginDiscoverableRegistration and returns the key to
// store. The error is ErrPasskey if the response is invalid.
func (p *Passkeys) FinishDiscoverableRegistration(kept, answer string) ([]byte, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal([]byte(kept), &session); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return p.FinishRegistration(Owner{ID: string(session.UserID)}, kept, answer)
}

// BeginDiscoverableLogin asks the browser for any passkey of BeginDiscoverableRegistration.
func (p *Passkeys) BeginDiscoverableLogin() (Ceremony, error) {
	assertion, session, err := p.site.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(assertion.Response, session)
}

// FinishDiscoverableLogin verifies the response to BeginDiscoverableLogin with one of the keys. The error is
// ErrPasskey if the response is invalid.
func (p *Passkeys) FinishDiscoverableLogin(keys [][]byte, kept, answer string) (Assertion, error) {
	all, session, err := restore(Owner{Keys: keys}, kept)
	if err != nil {
		return Assertion{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	// The key identifies the account. The user handle that the device stores may name an account that has another
	// id now.
	credential, err := p.site.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		all.ID = string(handle)
		return all, nil
	}, session, parsed)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return assertionOf(all, session, credential)
}

// FinishUserLogin reads the answer to BeginDiscoverableLogin by a passkey of a user. The answer names the user;
// ownerOf returns the owner with that id. A fault of the answer is ErrPasskey; a fault of ownerOf is returned as
// it is.
func (p *Passkeys) FinishUserLogin(ownerOf func(id string) (Owner, error), kept, answer string) (Assertion, error) {
	_, session, err := restore(Owner{}, kept)
	if err != nil {
		return Assertion{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	var owner credentialOwner
	var fault error
	credential, err := p.site.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		var found Owner
		if found, fault = ownerOf(string(handle)); fault == nil {
			owner, fault = found.withCredentials()
		}
		return owner, fault
	}, session, parsed)
	if fault != nil {
		return Assertion{}, fault
	}
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return assertionOf(owner, session, credential)
}

var errUnknownCredential = errors.New("unknown credential")

// assertionOf finds the key of a response. If its signature counter went back the error is ErrPasskey, because the
// key may be a copy.
func assertionOf(o credentialOwner, session webauthn.SessionData, credential *webauthn.Credential) (Assertion, error) {
	if credential.Authenticator.CloneWarning {
		return Assertion{}, fmt.Errorf("%w: its counter went back", ErrPasskey)
	}
	for i, c := range o.credentials {
		if string(c.ID) == string(credential.ID) {
			return Assertion{Index: i, Challenge: session.Challenge, SignCount: int64(credential.Authenticator.SignCount)}, nil
		}
	}
	return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, errUnknownCredential)
}

// challengeRetention is how long a challenge is remembered after its response.
const challengeRetention = time.Hour

// Consume marks a response as used, and reports whether this was its first use.
func (u Assertion) Consume(ctx context.Context, l *ratelimit.Limiter, key store.Factor) (first bool, err error) {
	now := l.Now()
	first, err = l.FirstUse(ctx, "passkey "+u.Challenge, now.Add(challengeRetention))
	if err != nil || !first {
		return false, err
	}
	if u.SignCount == 0 && key.LastStep == 0 { // a key without a counter
		return true, l.Store.RecordFactorUse(ctx, key.ID, now)
	}
	return l.Store.ConsumeFactorStep(ctx, key.ID, u.SignCount, now)
}
