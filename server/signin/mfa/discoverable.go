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

// BeginDiscoverableRegistration asks for a passkey that signs somebody in by itself: the device keeps the
// name with it, and asks who holds it before it answers (WebAuthn "user verification").
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

// FinishDiscoverableRegistration reads the answer to MakeAlone and returns the key to keep. A fault of the
// answer is ErrPasskey.
func (p *Passkeys) FinishDiscoverableRegistration(kept, answer string) ([]byte, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal([]byte(kept), &session); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return p.FinishRegistration(Owner{ID: string(session.UserID)}, kept, answer)
}

// BeginDiscoverableLogin asks for a passkey that MakeAlone made, of whoever has one.
func (p *Passkeys) BeginDiscoverableLogin() (Ceremony, error) {
	assertion, session, err := p.site.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(assertion.Response, session)
}

// FinishDiscoverableLogin reads the answer to AskAlone by one of keys. A fault of the answer is
// ErrPasskey.
func (p *Passkeys) FinishDiscoverableLogin(keys [][]byte, kept, answer string) (Assertion, error) {
	all, session, err := restore(Owner{Keys: keys}, kept)
	if err != nil {
		return Assertion{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	// Whose it is, is what the key says. The handle that the device keeps beside it
	// names an account that may have another id by now.
	credential, err := p.site.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		all.ID = string(handle)
		return all, nil
	}, session, parsed)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return assertionOf(all, session, credential)
}

var errUnknownCredential = errors.New("unknown credential")

// assertionOf finds the key that answered. A counter that went back is ErrPasskey: the key may
// have been copied.
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

// challengeRetention is how long a challenge is remembered after it was answered.
const challengeRetention = time.Hour

// Consume uses an answer by a key up, and reports whether this was the first time.
func (u Assertion) Consume(ctx context.Context, l *ratelimit.Limiter, key store.Factor) (first bool, err error) {
	now := l.Now()
	first, err = l.FirstUse(ctx, "passkey "+u.Challenge, now.Add(challengeRetention))
	if err != nil || !first {
		return false, err
	}
	if u.SignCount == 0 && key.LastStep == 0 { // a key that doesn't count
		return true, l.Store.RecordFactorUse(ctx, key.ID, now)
	}
	return l.Store.ConsumeFactorStep(ctx, key.ID, u.SignCount, now)
}
