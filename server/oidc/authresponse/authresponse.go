// Package reply sends the answer of the authorization endpoint back to the
// client: in the query of a redirect, or in a form that the browser posts. It
// leaves to server/oidc/authorize and server/oidc/consent what the answer is.
package authresponse

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/templates"
)

// The response modes (OAuth 2.0 Form Post Response Mode, section 2).
const (
	Query    = "query"
	FormPost = "form_post"
)

// Modes returns every response mode.
func Modes() []string { return []string{Query, FormPost} }

// Sender sends answers.
type Sender struct {
	Site *web.Site
	// Issuer is named in each answer, against mix-up (RFC 9207).
	Issuer string
}

// Field is a hidden field of the form.
type Field struct{ Name, Value string }

// Data is the page with the form.
type Data struct {
	Action string
	Fields []Field
}

// Page is the form that the browser posts by itself, or with a button when it
// runs no scripts.
func Page() templates.Page[Data] { return templates.Define[Data]("login/formpost") }

// Send answers with parameters. It completes state and issuer and leaves out
// empty ones.
func (s *Sender) Send(c echo.Context, req *flow.Request, params map[string]string) error {
	params["state"], params["iss"] = req.State, s.Issuer
	if req.Mode != FormPost {
		return c.Redirect(http.StatusSeeOther, oauth.RedirectURL(req.RedirectURI, params))
	}
	data := Data{Action: req.RedirectURI}
	for name, value := range params {
		if value != "" {
			data.Fields = append(data.Fields, Field{Name: name, Value: value})
		}
	}
	slices.SortFunc(data.Fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return web.Render(c, s.Site, web.View[Data]{
		Page: Page(), Title: i18n.T("Signing in"), Data: data, FormOrigin: clients.RedirectOrigin(req.RedirectURI),
	})
}

// Refuse answers with an error (RFC 6749 section 4.1.2.1).
func (s *Sender) Refuse(c echo.Context, req *flow.Request, e *oauth.Error) error {
	return s.Send(c, req, e.Params())
}
