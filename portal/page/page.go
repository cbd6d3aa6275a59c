// Package page has the parts that all pages of the portal share: the guard that demands a session, and the data of
// the page header. Package server/policy/access decides about clusters.
package page

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Guard protects pages: it sends a visitor without a session to the sign-in page.
type Guard struct {
	Sessions *session.Manager
	Site     *web.Site
	// IsAdmin decides whether the page header shows the admin parts. It grants no access.
	IsAdmin func(ctx context.Context, user *store.User) (bool, error)
	// Confirm asks the upstream whether it still knows the user. The error's kind is Denied if not.
	Confirm func(ctx context.Context, current *session.Current) error
	// Turned, when set, is called for each visitor whom the guard sends to the sign-in page.
	Turned func(c echo.Context)
}

// Handler serves a page to a signed-in user.
type Handler func(c echo.Context, current *session.Current) error

// For wraps a page as a route. A visitor signs in first and then returns to the page. A page that changes something
// confirms the user at the upstream first; a user whom the upstream refuses is a visitor.
func (g *Guard) For(h Handler) echo.HandlerFunc {
	return g.wrap(h, func(c echo.Context, current *session.Current) error {
		if method := c.Request().Method; method == http.MethodGet || method == http.MethodHead {
			return nil
		}
		return g.Confirm(c.Request().Context(), current)
	})
}

// ForEnding is For without the question to the upstream: a user can give up access while it is unreachable.
func (g *Guard) ForEnding(h Handler) echo.HandlerFunc {
	return g.wrap(h, func(echo.Context, *session.Current) error { return nil })
}

func (g *Guard) wrap(h Handler, confirm func(c echo.Context, current *session.Current) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		current, err := g.Current(c)
		if err == nil && current != nil {
			err = confirm(c, current)
		}
		if errs.Is(err, errs.Denied) {
			current, err = nil, nil
		}
		if err != nil {
			return err
		}
		if current == nil && g.Turned != nil {
			g.Turned(c)
		}
		if current == nil {
			return c.Redirect(http.StatusSeeOther, g.Site.Path("/login")+"?return_to="+url.QueryEscape(g.returnTo(c)))
		}
		return h(c, current)
	}
}

// Current returns the session of a request, or nil for a visitor.
func (g *Guard) Current(c echo.Context) (*session.Current, error) {
	current, err := g.Sessions.Current(c.Request())
	if err != nil || current == nil {
		return nil, err
	}
	current.Admin, err = g.IsAdmin(c.Request().Context(), current.User)
	return current, err
}

// returnTo is the page that the request is for. After a POST it is the landing page, because the form can't be sent
// again.
func (g *Guard) returnTo(c echo.Context) string { return cmp.Or(g.Site.CurrentPath(c.Request()), "/") }

// Block is text to copy. Label is its accessible name.
type Block struct {
	Label i18n.Text
	Text  string
}

// Person returns the data of the signed-in user for the page header.
func Person(current *session.Current) *templates.Person {
	return &templates.Person{Name: current.User.Label(), Detail: current.User.KubeName, Admin: current.Admin}
}
