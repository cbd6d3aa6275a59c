package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
)

// LanguagePath is where a person chooses a language.
const LanguagePath = "/language"

// languageLife is how long a choice is remembered.
const languageLife = 365 * 24 * time.Hour

func (s *Site) languageCookie() string {
	if s.Secure() {
		return "__Host-fairlead-language"
	}
	return "fairlead-language"
}

// Language returns what the reader has chosen or, before that, what the browser asks for.
func (s *Site) Language(c echo.Context) *i18n.Language {
	if cookie, err := c.Cookie(s.languageCookie()); err == nil {
		if chosen := s.languages.Find(cookie.Value); chosen != nil {
			return chosen
		}
	}
	return s.languages.Accepted(c.Request().Header)
}

// ChooseLanguage remembers a language in this browser, and goes back to the page.
func (s *Site) ChooseLanguage(c echo.Context) error {
	if chosen := s.languages.Find(c.FormValue("language")); chosen != nil {
		c.SetCookie(&http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
			Name: s.languageCookie(), Value: chosen.Tag(), Path: "/", MaxAge: int(languageLife.Seconds()),
			HttpOnly: true, Secure: s.Secure(), SameSite: http.SameSiteLaxMode,
		})
	}
	return c.Redirect(http.StatusSeeOther, s.Path(flow.LocalPath(c.FormValue("back"))))
}

// Here is the page that is asked for, below the site's own path; empty for the answer to a
// form, which can't be shown again.
func (s *Site) Here(r *http.Request) string {
	if r.Method != http.MethodGet {
		return ""
	}
	return "/" + strings.TrimPrefix(r.URL.RequestURI(), s.Path("/"))
}
