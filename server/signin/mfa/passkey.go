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

// ceremonyTimeout is how long a question to a browser may be answered.
const ceremonyTimeout = 10 * time.Minute

// Passkeys makes and checks passkeys (WebAuthn) for one site.
type Passkeys struct{ site *webauthn.WebAuthn }

// ErrPasskey says that a passkey was not made or not right.
var ErrPasskey = errors.New("the passkey response is not valid")

// NewPasskeys returns the passkeys of a site. It returns nil when the site can have
// none: a passkey belongs to a name (WebAuthn section 4, "RP ID"), not to an address.
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

// Owner is whose passkeys they are. Keys are as Made returned them.
type Owner struct {
	ID, Name, Label string
	Keys            [][]byte
}

// OwnerOf returns a person as the owner of the passkeys among their factors, with the
// rows of those in the order of Owner.Keys.
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

// Ceremony is a question to a browser: Options go to it, Kept has to come back with the
// answer. Challenge is what an answer is good for once.
type Ceremony struct{ Options, Session, Challenge string }

func newCeremony(options any, session *webauthn.SessionData) (Ceremony, error) {
	text, errOptions := json.Marshal(options)
	kept, errKept := json.Marshal(session)
	if err := errors.Join(errOptions, errKept); err != nil {
		return Ceremony{}, fmt.Errorf("encoding passkey options: %w", err)
	}
	return Ceremony{Options: string(text), Session: string(kept), Challenge: session.Challenge}, nil
}

// BeginRegistration asks for a new passkey.
func (p *Passkeys) BeginRegistration(o Owner) (Ceremony, error) {
	full, err := o.withCredentials()
	if err != nil {
		return Ceremony{}, err
	}
	creation, session, err := p.site.BeginRegistration(full, webauthn.WithExclusions(webauthn.Credentials(full.credentials).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, fmt.Errorf("asking for a passkey: %w", err)
	}
	return newCeremony(creation.Response, session)
}

// FinishRegistration reads the answer to Make and returns the key to keep. A fault of the answer is
// ErrPasskey.
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

// BeginLogin asks for one of the owner's passkeys.
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

// Assertion is which of the owner's keys answered.
type Assertion struct {
	// Index is its place in Owner.Keys; Challenge what it answered.
	Index     int
	Challenge string
	// SignCount is the key's counter, zero for keys that have none.
	SignCount int64
}

// FinishLogin reads the answer to Ask. A fault of the answer is ErrPasskey, and so is a
// counter that went back: the key may have been copied.
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
