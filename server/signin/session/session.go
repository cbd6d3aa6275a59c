// Package session manages browser sessions: it finds the user of a request by cookie, starts sessions and ends
// them. Package login authenticates the user.
package session

import (
	"context"
	"net/http"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// touchInterval is the least time between two updates of a session's last use.
const touchInterval = time.Minute

// maxUserAgentBytes bounds the stored User-Agent, in bytes.
const maxUserAgentBytes = 256

// Manager finds, starts and ends sessions.
type Manager struct {
	Store *store.Store
	Audit *audit.Log
	Now   func() time.Time
	// RuntimeSettings holds the session timeouts.
	RuntimeSettings *runtimesettings.Settings
	// Secure reports that browsers reach the server over https.
	Secure bool
	// OnEnd, when set, is called when a session ends.
	OnEnd func()
}

// Current is the session of a request and its user.
type Current struct {
	SignIn *store.SignIn
	User   *store.User
	// Admin reports that the user may administer Fairlead. Pages use it; operations check again.
	Admin bool
}

// Caller is a signed-in user at a network address.
type Caller struct {
	Current *Current
	Address string
}

func (m *Manager) cookieName() string {
	if m.Secure {
		return "__Host-fairlead"
	}
	return "fairlead"
}

// Current returns the session of a request. It returns nil if there is none, or if the user is disabled.
func (m *Manager) Current(r *http.Request) (*Current, error) {
	cookie, err := r.Cookie(m.cookieName())
	if err != nil || cookie.Value == "" {
		return nil, nil //nolint:nilnil,nilerr // an unauthenticated request is not an error
	}
	ctx, now := r.Context(), m.Now()
	row, err := m.Store.SignInByCookie(ctx, secret.Hash(cookie.Value))
	if errs.Is(err, errs.NotFound) {
		return nil, nil //nolint:nilnil // as above
	}
	if err != nil {
		return nil, err
	}
	if !row.Active(now) {
		return nil, nil //nolint:nilnil // as above
	}
	user, err := m.Store.User(ctx, row.UserID)
	if err != nil {
		return nil, err
	}
	if user.Blocked() {
		return nil, nil //nolint:nilnil // as above
	}
	if now.Sub(row.LastSeen.Time()) > touchInterval {
		if err := m.Store.TouchSignIn(ctx, row.ID, now, now.Add(m.RuntimeSettings.Get().IdleTimeout)); err != nil {
			return nil, err
		}
	}
	return &Current{SignIn: row, User: user}, nil
}

// Authentication says how a user has authenticated.
type Authentication struct {
	User *store.User
	// Methods are RFC 8176 values, such as "pwd".
	Methods []string
	// Address is the network address of the browser.
	Address string
}

// Begin starts a session with a new cookie. The browser's earlier cookie becomes invalid, so that an attacker cannot
// plant one (session fixation).
func (m *Manager) Begin(w http.ResponseWriter, r *http.Request, p Authentication) (*Current, error) {
	old, err := m.Current(r)
	if err != nil {
		return nil, err
	}
	token, now := secret.Token(), m.Now()
	row := &store.SignIn{
		ID: secret.ID("sid"), CookieHash: secret.Hash(token.Reveal()), UserID: p.User.ID, ConnectorID: p.User.ConnectorID,
		AMR: p.Methods, UserAgent: truncate(r.UserAgent()), Address: p.Address,
		Authenticated: store.At(now), LastSeen: store.At(now),
		IdleExpires: store.At(now.Add(m.RuntimeSettings.Get().IdleTimeout)), Expires: store.At(now.Add(m.RuntimeSettings.Get().AbsoluteTimeout)),
	}
	if err := m.storeSignIn(r.Context(), old, row); err != nil {
		return nil, err
	}
	m.setCookie(w, token.Reveal(), int(m.RuntimeSettings.Get().AbsoluteTimeout/time.Second))
	return &Current{SignIn: row, User: p.User}, nil
}

// storeSignIn renews the browser's session if the same user signs in again, and replaces it otherwise.
func (m *Manager) storeSignIn(ctx context.Context, old *Current, row *store.SignIn) error {
	if old == nil {
		return m.Store.CreateSignIn(ctx, row)
	}
	if old.User.ID == row.UserID {
		renewed := *row
		renewed.ID = old.SignIn.ID
		if done, err := m.Store.RenewSignIn(ctx, &renewed); err != nil || done {
			*row = renewed
			return err
		}
	}
	if err := m.EndByID(ctx, old.User, old.SignIn.ID); err != nil {
		return err
	}
	return m.Store.CreateSignIn(ctx, row)
}

// End ends the session of this browser.
func (m *Manager) End(w http.ResponseWriter, r *http.Request, current *Current) error {
	if err := m.EndByID(r.Context(), current.User, current.SignIn.ID); err != nil {
		return err
	}
	m.setCookie(w, "", -1)
	return nil
}

// EndByID ends one of the user's sessions.
func (m *Manager) EndByID(ctx context.Context, user *store.User, id string) error {
	ended, err := m.Store.End(ctx, store.Ending{
		Scope: store.EndSignIn, UserID: user.ID, ID: id, Log: m.Audit,
		Event: audit.Event{Name: audit.SignInEnded, UserID: user.ID, UserName: user.KubeName, SignInID: id, ConnectorID: user.ConnectorID},
	}, m.Now())
	if err == nil && ended.Anything() && m.OnEnd != nil {
		m.OnEnd()
	}
	return err
}

func (m *Manager) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: m.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: m.Secure, SameSite: http.SameSiteLaxMode,
	})
}

func truncate(s string) string {
	if len(s) > maxUserAgentBytes {
		return s[:maxUserAgentBytes]
	}
	return s
}
