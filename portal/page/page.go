// Package page is what the portal's pages share: who may enter, and how the
// person is shown. It decides nothing about clusters.
package page

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Guard lets signed-in people in.
type Guard struct {
	Sessions *session.Manager
	Site     *web.Site
	// IsAdmin says what the head of each page shows. It lets nobody in.
	IsAdmin func(ctx context.Context, user *store.User) (bool, error)
	// Turned, when set, is told that somebody was sent to sign in.
	Turned func(c echo.Context)
}

// Handler is a page for a signed-in person.
type Handler func(c echo.Context, current *session.Current) error

// For makes a route of a page. Who is not signed in is sent to do so and comes
// back.
func (g *Guard) For(h Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		current, err := g.Current(c)
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

// Current returns the signed-in person of a request, or nil for a visitor.
func (g *Guard) Current(c echo.Context) (*session.Current, error) {
	current, err := g.Sessions.Current(c.Request())
	if err != nil || current == nil {
		return nil, err
	}
	current.Admin, err = g.IsAdmin(c.Request().Context(), current.User)
	return current, err
}

// returnTo is the page asked for. A form can't be sent again, so after a POST it is the start
// page.
func (g *Guard) returnTo(c echo.Context) string { return cmp.Or(g.Site.CurrentPath(c.Request()), "/") }

// Block is text to copy, with a name for people who can't see it.
type Block struct {
	Label i18n.Text
	Text  string
}

// Person is how the page's head shows who is signed in.
func Person(current *session.Current) *templates.Person {
	return &templates.Person{Name: current.User.Label(), Detail: current.User.KubeName, Admin: current.Admin}
}
