package login

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
)

// lastConnectorLife is how long a browser remembers its last connector.
const lastConnectorLife = 180 * 24 * time.Hour

func (h *Handler) lastConnectorCookie() string {
	if h.Site.Secure() {
		return "__Host-fairlead-connector"
	}
	return "fairlead-connector"
}

// rememberConnector puts a connector first on this browser's next sign-in page. The cookie only orders the page, so
// a forged one does no harm.
func (h *Handler) rememberConnector(c echo.Context, connectorID string) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: h.lastConnectorCookie(), Value: connectorID, Path: "/", MaxAge: int(lastConnectorLife.Seconds()),
		HttpOnly: true, Secure: h.Site.Secure(), SameSite: http.SameSiteLaxMode,
	})
}

// lastUsedFirst marks the connector of this browser's last sign-in and moves it to the front.
func (h *Handler) lastUsedFirst(c echo.Context, choices []Choice) []Choice {
	cookie, err := c.Cookie(h.lastConnectorCookie())
	if err != nil {
		return choices
	}
	at := slices.IndexFunc(choices, func(choice Choice) bool { return choice.ID == cookie.Value })
	if at < 0 || len(choices) == 1 {
		return choices
	}
	last := choices[at]
	last.LastUsed = true
	return append([]Choice{last}, slices.Delete(choices, at, at+1)...)
}
