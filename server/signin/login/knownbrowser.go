package login

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// knownLife is how long a browser is known after a sign-in with a password.
const knownLife = 180 * 24 * time.Hour

// maxKnown bounds what is opened of the cookie, in bytes.
const maxKnown = 1024

// known says that somebody has signed in with a name in this browser. Guesses
// from elsewhere, however many, do not keep that person out here: the browser
// has a counter of its own. It proves nothing else; the password is still asked.
type known struct {
	// Name is a hash of the connector and the name.
	Name    string        `json:"n"`
	ID      string        `json:"i"`
	Expires store.Instant `json:"x"`
}

const knownContext = "login.known"

func (h *Handler) knownCookie() string {
	if h.Site.Secure() {
		return "__Host-fairlead-known"
	}
	return "fairlead-known"
}

func knownName(connectorID, login string) string {
	return secret.Hash("known\x00" + connectorID + "\x00" + kubenames.Key(login))
}

// attempt returns what a try with this name counts for in this browser.
func (h *Handler) attempt(c echo.Context, connectorID, login string) []ratelimit.Count {
	usual := ratelimit.Password(connectorID, login, c.RealIP())
	cookie, err := c.Cookie(h.knownCookie())
	if err != nil || len(cookie.Value) > maxKnown {
		return usual
	}
	plain, err := h.Flows.Keyring.Open(knownContext, cookie.Value)
	if err != nil {
		return usual
	}
	var k known
	if json.Unmarshal(plain, &k) != nil || k.Name != knownName(connectorID, login) || k.Expires.Passed(h.Now()) {
		return usual
	}
	return ratelimit.KnownBrowser(k.ID, c.RealIP())
}

// remember makes this browser known for a name.
func (h *Handler) remember(c echo.Context, connectorID, login string) error {
	plain, err := json.Marshal(known{Name: knownName(connectorID, login), ID: secret.ID("known"), Expires: store.At(h.Now().Add(knownLife))})
	if err != nil {
		return err
	}
	http.SetCookie(c.Response(), &http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: h.knownCookie(), Value: h.Flows.Keyring.Seal(knownContext, plain), Path: "/", MaxAge: int(knownLife.Seconds()),
		HttpOnly: true, Secure: h.Site.Secure(), SameSite: http.SameSiteLaxMode,
	})
	return nil
}
