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

// MakeAlone asks for a passkey that signs somebody in by itself: the device keeps the
// name with it, and asks who holds it before it answers (WebAuthn "user verification").
func (p *Passkeys) MakeAlone(label string) (Asked, error) {
	o := owner{Owner: Owner{ID: secret.ID("key"), Name: label, Label: label}}
	creation, session, err := p.site.BeginRegistration(o, webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
	}))
	if err != nil {
		return Asked{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return asked(creation.Response, session)
}

// MadeAlone reads the answer to MakeAlone and returns the key to keep. A fault of the
// answer is ErrPasskey.
func (p *Passkeys) MadeAlone(kept, answer string) ([]byte, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal([]byte(kept), &session); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return p.Made(Owner{ID: string(session.UserID)}, kept, answer)
}

// AskAlone asks for a passkey that MakeAlone made, of whoever has one.
func (p *Passkeys) AskAlone() (Asked, error) {
	assertion, session, err := p.site.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Asked{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return asked(assertion.Response, session)
}

// AnsweredAlone reads the answer to AskAlone by one of keys. A fault of the answer is
// ErrPasskey.
func (p *Passkeys) AnsweredAlone(keys [][]byte, kept, answer string) (Used, error) {
	all, session, err := resume(Owner{Keys: keys}, kept)
	if err != nil {
		return Used{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Used{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	// Whose it is, is what the key says. The handle that the device keeps beside it
	// names an account that may have another id by now.
	credential, err := p.site.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		all.ID = string(handle)
		return all, nil
	}, session, parsed)
	if err != nil {
		return Used{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return used(all, session, credential)
}

var errNoKey = errors.New("none of the keys answered")

// used finds the key that answered. A counter that went back is ErrPasskey: the key may
// have been copied.
func used(o owner, session webauthn.SessionData, credential *webauthn.Credential) (Used, error) {
	if credential.Authenticator.CloneWarning {
		return Used{}, fmt.Errorf("%w: its counter went back", ErrPasskey)
	}
	for i, c := range o.credentials {
		if string(c.ID) == string(credential.ID) {
			return Used{Index: i, Challenge: session.Challenge, Count: int64(credential.Authenticator.SignCount)}, nil
		}
	}
	return Used{}, fmt.Errorf("%w: %w", ErrPasskey, errNoKey)
}

// challengeLife is how long a challenge is remembered after it was answered.
const challengeLife = time.Hour

// Spend uses an answer by a key up, and reports whether this was the first time.
func (u Used) Spend(ctx context.Context, l *ratelimit.Limiter, key store.Factor) (first bool, err error) {
	now := l.Now()
	first, err = l.Once(ctx, "passkey "+u.Challenge, now.Add(challengeLife))
	if err != nil || !first {
		return false, err
	}
	if u.Count == 0 && key.LastStep == 0 { // a key that doesn't count
		return true, l.Store.NoteFactor(ctx, key.ID, now)
	}
	return l.Store.UseFactor(ctx, key.ID, u.Count, now)
}
