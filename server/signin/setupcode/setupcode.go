// Package setupcode creates one-time codes with which a signed-in user signs in a
// computer, within minutes and without another browser sign-in. They are off by
// default; docs/adr/0010-setup-code.md explains the risks.
package setupcode

import (
	"context"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// Lifetime is the lifetime of a code.
const Lifetime = 5 * time.Minute

// redirectMarker replaces the redirect URI in the row of a code. No client can register it, so setup codes and
// authorization codes are never confused.
const redirectMarker = "urn:fairlead:setup-code"

// Maker creates setup codes.
type Maker struct {
	Store *store.Store
	Now   func() time.Time
}

// Make returns a code that belongs to this session. The code becomes invalid when the session ends.
func (m *Maker) Make(ctx context.Context, current *session.Current) (secret.Value, error) {
	code := secret.Token()
	signIn := current.SignIn
	err := m.Store.CreateCode(ctx, &store.Code{
		Hash: secret.Hash(code.Reveal()), ClientID: clients.PluginID, UserID: current.User.ID, SignInID: signIn.ID, RedirectURI: redirectMarker,
		Scopes: oauth.Scopes(), AMR: signIn.AMR, Authenticated: signIn.Authenticated, Expires: store.At(m.Now().Add(Lifetime)),
	})
	return code, err
}

// IsSetupCode distinguishes setup codes from authorization codes.
func IsSetupCode(code *store.Code) bool { return code.RedirectURI == redirectMarker }
