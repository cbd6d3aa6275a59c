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

// knownBrowserLifetime is how long the cookie lasts after a sign-in with a password.
const knownBrowserLifetime = 180 * 24 * time.Hour

// maxKnownBrowserBytes bounds the cookie, in bytes.
const maxKnownBrowserBytes = 1024

// knownBrowser is a cookie for a browser in which a user has signed in with this name before. The browser has its
// own attempt counter, so attackers elsewhere cannot lock the user out. The cookie grants nothing else: the user
// still needs the password.
type knownBrowser struct {
	// Name is a hash of the connector and the user name.
	Name    string        `json:"n"`
	ID      string        `json:"i"`
	Expires store.Instant `json:"x"`
}

const knownBrowserContext = "login.known"

func (h *Handler) knownBrowserCookie() string {
	if h.Site.Secure() {
		return "__Host-fairlead-known"
	}
	return "fairlead-known"
}

func knownNameHash(connectorID, login string) string {
	return secret.Hash("known\x00" + connectorID + "\x00" + kubenames.Key(login))
}

// passwordCounters returns the attempt counters for this name in this browser.
func (h *Handler) passwordCounters(c echo.Context, connectorID, login string) []ratelimit.Counter {
	usual := ratelimit.Password(connectorID, login, c.RealIP())
	cookie, err := c.Cookie(h.knownBrowserCookie())
	if err != nil || len(cookie.Value) > maxKnownBrowserBytes {
		return usual
	}
	plain, err := h.Flows.Keyring.Open(knownBrowserContext, cookie.Value)
	if err != nil {
		return usual
	}
	var k knownBrowser
	if json.Unmarshal(plain, &k) != nil || k.Name != knownNameHash(connectorID, login) || k.Expires.Passed(h.Now()) {
		return usual
	}
	return ratelimit.KnownBrowser(k.ID, c.RealIP())
}

// rememberBrowser sets the cookie for a name.
func (h *Handler) rememberBrowser(c echo.Context, connectorID, login string) error {
	plain, err := json.Marshal(knownBrowser{Name: knownNameHash(connectorID, login), ID: secret.ID("known"), Expires: store.At(h.Now().Add(knownBrowserLifetime))})
	if err != nil {
		return err
	}
	http.SetCookie(c.Response(), &http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: h.knownBrowserCookie(), Value: h.Flows.Keyring.Seal(knownBrowserContext, plain), Path: "/", MaxAge: int(knownBrowserLifetime.Seconds()),
		HttpOnly: true, Secure: h.Site.Secure(), SameSite: http.SameSiteLaxMode,
	})
	return nil
}
