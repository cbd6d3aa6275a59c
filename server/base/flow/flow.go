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

// maxSealedBytes is the largest parameter that Open reads, in bytes.
const maxSealedBytes = 16 << 10

// Flow says where the browser goes after the sign-in: to an authorization request or to a page of Fairlead.
type Flow struct {
	// Request is the authorization request. It is nil when a page started the sign-in.
	Request *Request `json:"r,omitempty"`
	// ReturnTo is the path of the page that started the sign-in.
	ReturnTo string `json:"p,omitempty"`
	// UserCode is the device's user code (RFC 8628), for the page that asks the user to confirm the device.
	UserCode string `json:"v,omitempty"`
	// AuthenticatedAfter requires a sign-in after this instant (prompt=login, max_age).
	AuthenticatedAfter store.Instant `json:"f,omitempty"`
	// Upstream is set while the browser is away at an upstream.
	Upstream *Upstream `json:"u,omitempty"`
	// SecondFactor is set while the second factor is asked for.
	SecondFactor *SecondFactor `json:"h,omitempty"`
	// PasskeySession is what the answer of a passkey that signs in by itself is checked with.
	PasskeySession string `json:"k,omitempty"`
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
	// ResponseMode is the response_mode of the request. Empty means query.
	ResponseMode string `json:"m,omitempty"`
	// HintedUserID is the subject of the request's id_token_hint.
	HintedUserID string `json:"b,omitempty"`
	// SwitchRequested reports that the user was already asked to sign in as Subject.
	SwitchRequested bool `json:"y,omitempty"`
	// ForceConsent shows the consent page even if the user has consented before (prompt=consent).
	ForceConsent bool `json:"a,omitempty"`
	// ClientHost is the host name that the client reports for its computer.
	ClientHost string `json:"d,omitempty"`
	// LoginHint prefills the user name.
	LoginHint string `json:"l,omitempty"`
	// ConnectorID skips the page that lists the connectors.
	ConnectorID string `json:"k,omitempty"`
}

// Upstream is the state of a sign-in at an upstream, such as its nonce and PKCE verifier.
type Upstream struct {
	ConnectorID string `json:"c"`
	State       []byte `json:"k,omitempty"`
	// TestID is the id of a connector's test sign-in. A test sign-in starts no session.
	TestID string `json:"t,omitempty"`
}

// SecondFactor is a sign-in whose first factor has been verified.
type SecondFactor struct {
	UserID      string   `json:"u"`
	ConnectorID string   `json:"c"`
	Methods     []string `json:"m,omitempty"`
	// EnrolSecret is the secret of the authenticator app that the user is setting up.
	EnrolSecret string `json:"e,omitempty"`
	// PasskeySession is the WebAuthn session data that verifies the browser's response.
	PasskeySession string `json:"p,omitempty"`
}

// Sealer seals and opens flows.
type Sealer struct {
	// Keyring encrypts the flows.
	Keyring *secret.Keyring
	// Now returns the current time.
	Now func() time.Time
	// Secure reports that browsers reach the server over https. The cookie then has the __Host- prefix. Plain http
	// is for loopback only.
	Secure bool
}

func (s *Sealer) cookieName() string {
	if s.Secure {
		return "__Host-fairlead-browser"
	}
	return "fairlead-browser"
}

// ErrInvalid is the error for a flow that is forged, expired, or from another browser.
var ErrInvalid = errs.New(errs.Invalid,
	"This sign-in was started in another browser, took too long, or its link was changed. Start again.")

// Seal returns the flow as text for a URL parameter, bound to this browser by a cookie. It sets the cookie if the
// browser has none. All tabs share it.
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

// Open reads a flow that was sealed for this browser. The error is ErrInvalid.
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

// LocalPath returns path if it is a path on this server, else "/". It refuses what browsers read as another host:
// "//host", "/\host", and white space or control characters anywhere.
func LocalPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"), len(path) > 2048,
		strings.ContainsRune(path, '\\'),
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\u00a0' }):
		return "/"
	}
	return path
}
