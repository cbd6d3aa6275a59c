package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
)

// LanguagePath is the path of the form that chooses a language.
const LanguagePath = "/language"

// languageLife is the lifetime of the language cookie.
const languageLife = 365 * 24 * time.Hour

func (s *Site) languageCookie() string {
	if s.Secure() {
		return "__Host-fairlead-language"
	}
	return "fairlead-language"
}

// Language returns the language of the cookie, or else the best match for the Accept-Language header.
func (s *Site) Language(c echo.Context) *i18n.Language {
	if cookie, err := c.Cookie(s.languageCookie()); err == nil {
		if chosen := s.languages.Find(cookie.Value); chosen != nil {
			return chosen
		}
	}
	return s.languages.Accepted(c.Request().Header)
}

// ChooseLanguage stores a language in a cookie and redirects back to the page.
func (s *Site) ChooseLanguage(c echo.Context) error {
	if chosen := s.languages.Find(c.FormValue("language")); chosen != nil {
		c.SetCookie(&http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
			Name: s.languageCookie(), Value: chosen.Tag(), Path: "/", MaxAge: int(languageLife.Seconds()),
			HttpOnly: true, Secure: s.Secure(), SameSite: http.SameSiteLaxMode,
		})
	}
	return c.Redirect(http.StatusSeeOther, s.Path(flow.LocalPath(c.FormValue("back"))))
}

// CurrentPath is the path of the requested page, below the path of the site. It is empty for the response to a form, which
// cannot be loaded again.
func (s *Site) CurrentPath(r *http.Request) string {
	if r.Method != http.MethodGet {
		return ""
	}
	return "/" + strings.TrimPrefix(r.URL.RequestURI(), s.Path("/"))
}
