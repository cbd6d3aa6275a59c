package mfa

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// ceremonyTimeout is how long the user has to respond.
const ceremonyTimeout = 10 * time.Minute

// Passkeys registers and verifies passkeys (WebAuthn) for one site.
type Passkeys struct{ site *webauthn.WebAuthn }

// ErrPasskey is the error for an invalid registration or response.
var ErrPasskey = errors.New("the passkey response is not valid")

// NewPasskeys returns the passkeys of a site. It returns nil if the site is an IP address, because a passkey needs
// a domain (WebAuthn section 4, "RP ID").
func NewPasskeys(site *url.URL, brand string) *Passkeys {
	if net.ParseIP(site.Hostname()) != nil {
		return nil
	}
	life := webauthn.TimeoutConfig{Enforce: true, Timeout: ceremonyTimeout, TimeoutUVD: ceremonyTimeout}
	w, err := webauthn.New(&webauthn.Config{
		RPID: site.Hostname(), RPDisplayName: brand, RPOrigins: []string{site.Scheme + "://" + site.Host},
		AttestationPreference: protocol.PreferNoAttestation, Timeouts: webauthn.TimeoutsConfig{Login: life, Registration: life},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementDiscouraged, UserVerification: protocol.VerificationPreferred,
		},
	})
	if err != nil {
		return nil
	}
	return &Passkeys{w}
}

// Owner is the owner of passkeys. Keys are in the form that FinishRegistration returned.
type Owner struct {
	ID, Name, Label string
	Keys            [][]byte
	// Discoverable asks the device to keep the user's name with a new passkey, so that the passkey can sign in
	// by itself. A device that cannot do so makes a second factor.
	Discoverable bool
}

// OwnerOf returns a user as the owner of the passkeys among their factors. The rows are in the order of Owner.Keys.
func OwnerOf(user *store.User, factors []store.Factor) (Owner, []store.Factor) {
	o := Owner{ID: user.ID, Name: user.KubeName, Label: user.Label()}
	var rows []store.Factor
	for _, f := range factors {
		if f.Kind == store.FactorPasskey {
			o.Keys, rows = append(o.Keys, []byte(f.Data)), append(rows, f)
		}
	}
	return o, rows
}

type credentialOwner struct {
	Owner
	credentials []webauthn.Credential
}

var _ webauthn.User = credentialOwner{}

// WebAuthnID implements webauthn.User.
func (o credentialOwner) WebAuthnID() []byte { return []byte(o.ID) }

// WebAuthnName implements webauthn.User.
func (o credentialOwner) WebAuthnName() string { return o.Name }

// WebAuthnDisplayName implements webauthn.User.
func (o credentialOwner) WebAuthnDisplayName() string { return o.Label }

// WebAuthnCredentials implements webauthn.User.
func (o credentialOwner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

func (o Owner) withCredentials() (credentialOwner, error) {
	full := credentialOwner{Owner: o}
	for _, key := range o.Keys {
		var c webauthn.Credential
		if err := json.Unmarshal(key, &c); err != nil {
			return credentialOwner{}, fmt.Errorf("reading passkey: %w", err)
		}
		full.credentials = append(full.credentials, c)
	}
	return full, nil
}

// Ceremony is a WebAuthn request. Options go to the browser. Kept must come back with the response. A response may
// use Challenge once.
type Ceremony struct{ Options, Session, Challenge string }

func newCeremony(options any, session *webauthn.SessionData) (Ceremony, error) {
	text, errOptions := json.Marshal(options)
	kept, errKept := json.Marshal(session)
	if err := errors.Join(errOptions, errKept); err != nil {
		return Ceremony{}, fmt.Errorf("encoding passkey options: %w", err)
	}
	return Ceremony{Options: string(text), Session: string(kept), Challenge: session.Challenge}, nil
}

// BeginRegistration starts the registration of a passkey.
func (p *Passkeys) BeginRegistration(o Owner) (Ceremony, error) {
	full, err := o.withCredentials()
	if err != nil {
		return Ceremony{}, err
	}
	options := []webauthn.RegistrationOption{webauthn.WithExclusions(webauthn.Credentials(full.credentials).CredentialDescriptors())}
	if o.Discoverable {
		options = append(options, webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementPreferred))
	}
	creation, session, err := p.site.BeginRegistration(full, options...)
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(creation.Response, session)
}

// FinishRegistration verifies the response to BeginRegistration and returns the key to store. The error is
// ErrPasskey if the response is invalid.
func (p *Passkeys) FinishRegistration(o Owner, kept, answer string) ([]byte, error) {
	full, session, err := restore(o, kept)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	credential, err := p.site.CreateCredential(full, session, parsed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	key, err := json.Marshal(credential)
	if err != nil {
		return nil, fmt.Errorf("encoding passkey: %w", err)
	}
	return key, nil
}

// BeginLogin asks the browser for one of the owner's passkeys.
func (p *Passkeys) BeginLogin(o Owner) (Ceremony, error) {
	full, err := o.withCredentials()
	if err != nil {
		return Ceremony{}, err
	}
	assertion, session, err := p.site.BeginLogin(full)
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(assertion.Response, session)
}

// Assertion is a verified response.
type Assertion struct {
	// Index is the position of the key in Owner.Keys. Challenge is the challenge of the request.
	Index     int
	Challenge string
	// SignCount is the signature counter of the key. It is zero for keys without one.
	SignCount int64
}

// FinishLogin verifies the response to BeginLogin. The error is ErrPasskey if the response is invalid, or if the
// signature counter went back, because the key may be a copy.
func (p *Passkeys) FinishLogin(o Owner, kept, answer string) (Assertion, error) {
	full, session, err := restore(o, kept)
	if err != nil {
		return Assertion{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	credential, err := p.site.ValidateLogin(full, session, parsed)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return assertionOf(full, session, credential)
}

func restore(o Owner, kept string) (credentialOwner, webauthn.SessionData, error) {
	full, err := o.withCredentials()
	if err != nil {
		return credentialOwner{}, webauthn.SessionData{}, err
	}
	var session webauthn.SessionData
	if err := json.Unmarshal([]byte(kept), &session); err != nil {
		return credentialOwner{}, webauthn.SessionData{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return full, session, nil
}
