// Package flow carries what a browser is on its way to, through the sign-in
// pages, without storing anything for a visitor who has proved nothing: sealed
// into a parameter, expiring, and bound to the browser by a cookie. It leaves to
// server/oidc/authorize what the request means.
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

// Life is how long a person has to finish signing in.
const Life = 30 * time.Minute

// maxSealed bounds what is opened, in bytes.
const maxSealed = 16 << 10

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
	// Fresh demands a sign-in made after this instant (prompt=login, max_age).
	Fresh store.Instant `json:"f,omitempty"`
	// Upstream is set while the browser is away at an upstream.
	Upstream *Upstream `json:"u,omitempty"`
	// Half is set while the second factor is asked for.
	Half *Half `json:"h,omitempty"`
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
	// Mode is how the answer goes back; empty means in the query.
	Mode string `json:"m,omitempty"`
	// Subject is the user that the client means, by an earlier ID token of ours.
	Subject string `json:"b,omitempty"`
	// Switched says that the person was already asked to sign in as Subject.
	Switched bool `json:"y,omitempty"`
	// Ask shows the consent page even to somebody who has agreed before.
	Ask bool `json:"a,omitempty"`
	// Host is the name that the client gives its computer.
	Host string `json:"d,omitempty"`
	// LoginHint prefills the user name.
	LoginHint string `json:"l,omitempty"`
	// Connector skips the choice.
	Connector string `json:"k,omitempty"`
}

// Upstream is what must come back unchanged from an upstream sign-in.
type Upstream struct {
	ConnectorID string `json:"c"`
	Kept        []byte `json:"k,omitempty"`
	// Test is the id of a test sign-in: nobody is signed in by it.
	Test string `json:"t,omitempty"`
}

// Half is a sign-in whose first factor was shown.
type Half struct {
	UserID      string   `json:"u"`
	ConnectorID string   `json:"c"`
	Methods     []string `json:"m,omitempty"`
	// Enrol is the secret of the app that is being set up.
	Enrol string `json:"e,omitempty"`
	// Passkey is what an answer by passkey is checked with.
	Passkey string `json:"p,omitempty"`
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

// ErrLost says that a flow can't go on.
var ErrLost = errs.New(errs.Invalid,
	"This sign-in was begun in another browser, took too long, or the link was changed. Start again.")

// Seal returns the flow as text for a parameter, bound to this browser. It sets
// the browser's cookie when there is none; several tabs share it.
func (s *Sealer) Seal(w http.ResponseWriter, r *http.Request, f *Flow) (string, error) {
	if f.Expires == 0 {
		f.Expires = store.At(s.Now().Add(Life))
	}
	plain, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encoding flow: %w", err)
	}
	return s.Keyring.Seal(context(s.browser(w, r)), plain), nil
}

// Open reads a flow that was sealed for this browser. The error is ErrLost.
func (s *Sealer) Open(r *http.Request, sealed string) (*Flow, error) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || len(sealed) > maxSealed {
		return nil, ErrLost
	}
	plain, err := s.Keyring.Open(context(cookie.Value), sealed)
	if err != nil {
		return nil, ErrLost
	}
	var f Flow
	if err := json.Unmarshal(plain, &f); err != nil || f.Expires.Passed(s.Now()) {
		return nil, ErrLost
	}
	return &f, nil
}

func context(browser string) string { return "flow:" + secret.Hash(browser) }

func (s *Sealer) browser(w http.ResponseWriter, r *http.Request) string {
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
