// Package flow carries the state of a sign-in through the pages without storing
// it: sealed in a parameter, with an expiry, and bound to the browser by a cookie.
// An unauthenticated request therefore writes nothing to the database. Package
// authorize interprets the authorization request in it.
package flow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Lifetime is how long a person has to finish signing in.
const Lifetime = 30 * time.Minute

// maxSealedBytes bounds what is opened, in bytes.
const maxSealedBytes = 16 << 10

// Flow is where the browser goes after the sign-in: to an authorization request
// or to a page of ours.
type Flow struct {
	// Request is the authorization request, nil for a page.
	Request *Request `json:"r,omitempty"`
	// ReturnTo is a path of ours, for a page.
	ReturnTo string `json:"p,omitempty"`
	// UserCode is the code that the person typed (RFC 8628), for the page that
	// asks about it.
	UserCode string `json:"v,omitempty"`
	// AuthenticatedAfter demands a sign-in made after this instant (prompt=login, max_age).
	AuthenticatedAfter store.Instant `json:"f,omitempty"`
	// Upstream is set while the browser is away at an upstream.
	Upstream *Upstream `json:"u,omitempty"`
	// SecondFactor is set while the second factor is asked for.
	SecondFactor *SecondFactor `json:"h,omitempty"`
	// Expires ends the flow.
	Expires store.Instant `json:"x"`
}

// Request is a validated authorization request.
type Request struct {
	ClientID    string   `json:"c"`
	RedirectURI string   `json:"u"`
	Scopes      []string `json:"s"`
	State       string   `json:"t,omitempty"`
	Nonce       string   `json:"n,omitempty"`
	Challenge   string   `json:"h,omitempty"`
	// ResponseMode is how the answer goes back; empty means in the query.
	ResponseMode string `json:"m,omitempty"`
	// HintedUserID is the user that the client means, by an earlier ID token of ours.
	HintedUserID string `json:"b,omitempty"`
	// SwitchRequested says that the person was already asked to sign in as Subject.
	SwitchRequested bool `json:"y,omitempty"`
	// ForceConsent shows the consent page even to somebody who has agreed before.
	ForceConsent bool `json:"a,omitempty"`
	// ClientHost is the name that the client gives its computer.
	ClientHost string `json:"d,omitempty"`
	// LoginHint prefills the user name.
	LoginHint string `json:"l,omitempty"`
	// ConnectorID skips the choice.
	ConnectorID string `json:"k,omitempty"`
}

// Upstream is what must come back unchanged from an upstream sign-in.
type Upstream struct {
	ConnectorID string `json:"c"`
	State       []byte `json:"k,omitempty"`
	// TestID is the id of a test sign-in: nobody is signed in by it.
	TestID string `json:"t,omitempty"`
}

// SecondFactor is a sign-in whose first factor was shown.
type SecondFactor struct {
	UserID      string   `json:"u"`
	ConnectorID string   `json:"c"`
	Methods     []string `json:"m,omitempty"`
	// EnrolSecret is the secret of the app that is being set up.
	EnrolSecret string `json:"e,omitempty"`
	// PasskeySession is what an answer by passkey is checked with.
	PasskeySession string `json:"p,omitempty"`
}

// Sealer seals and opens flows.
type Sealer struct {
	// Keyring seals.
	Keyring *secret.Keyring
	// Now tells the time.
	Now func() time.Time
	// Secure says that the server is reached over https; then the cookie has the
	// __Host- prefix. Plain http is for loopback only.
	Secure bool
}

func (s *Sealer) cookieName() string {
	if s.Secure {
		return "__Host-fairlead-browser"
	}
	return "fairlead-browser"
}

// ErrInvalid says that a flow can't go on.
var ErrInvalid = errs.New(errs.Invalid,
	"This sign-in was started in another browser, took too long, or its link was changed. Start again.")

// Seal returns the flow as text for a parameter, bound to this browser. It sets
// the browser's cookie when there is none; several tabs share it.
func (s *Sealer) Seal(w http.ResponseWriter, r *http.Request, f *Flow) (string, error) {
	if f.Expires == 0 {
		f.Expires = store.At(s.Now().Add(Lifetime))
	}
	plain, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encoding flow: %w", err)
	}
	return s.Keyring.Seal(sealContext(s.browserID(w, r)), plain), nil
}

// Open reads a flow that was sealed for this browser. The error is ErrLost.
func (s *Sealer) Open(r *http.Request, sealed string) (*Flow, error) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || len(sealed) > maxSealedBytes {
		return nil, ErrInvalid
	}
	plain, err := s.Keyring.Open(sealContext(cookie.Value), sealed)
	if err != nil {
		return nil, ErrInvalid
	}
	var f Flow
	if err := json.Unmarshal(plain, &f); err != nil || f.Expires.Passed(s.Now()) {
		return nil, ErrInvalid
	}
	return &f, nil
}

func sealContext(browser string) string { return "flow:" + secret.Hash(browser) }

func (s *Sealer) browserID(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(s.cookieName()); err == nil && len(cookie.Value) == 43 {
		return cookie.Value
	}
	id := secret.Token().Reveal()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: s.cookieName(), Value: id, Path: "/",
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode,
	})
	return id
}

// LocalPath returns path when a browser stays on this server if it is sent
// there, else "/". It refuses what browsers read as another host: "//host",
// "/\host", and white space or control characters anywhere.
func LocalPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"), len(path) > 2048,
		strings.ContainsRune(path, '\\'),
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\u00a0' }):
		return "/"
	}
	return path
}
