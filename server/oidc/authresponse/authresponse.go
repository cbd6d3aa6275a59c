// Package authresponse sends the authorization response to the client (RFC 6749 section 4.1.2). The response
// travels in the query of a redirect, or in a form that the browser posts (OAuth 2.0 Form Post Response Mode).
// Packages server/oidc/authorize and server/oidc/consent decide what the response is.
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
)

// The response modes (OAuth 2.0 Form Post Response Mode, section 2).
const (
	Query    = "query"
	FormPost = "form_post"
)

// Modes returns every response mode.
func Modes() []string { return []string{Query, FormPost} }

// Sender sends authorization responses.
type Sender struct {
	Site *web.Site
	// Issuer is the iss parameter of each response. It prevents mix-up attacks (RFC 9207).
	Issuer string
}

// Send sends a response with the given parameters. It adds state and issuer and leaves out
// empty parameters.
func (s *Sender) Send(c echo.Context, req *flow.Request, params map[string]string) error {
	params["state"], params["iss"] = req.State, s.Issuer
	if req.ResponseMode != FormPost {
		return c.Redirect(http.StatusSeeOther, oauth.RedirectURL(req.RedirectURI, params))
	}
	data := web.FormPostData{Action: req.RedirectURI}
	for name, value := range params {
		if value != "" {
			data.Fields = append(data.Fields, web.FormField{Name: name, Value: value})
		}
	}
	slices.SortFunc(data.Fields, func(a, b web.FormField) int { return strings.Compare(a.Name, b.Name) })
	return web.Render(c, s.Site, web.View[web.FormPostData]{
		Page: web.FormPostPage(), Title: i18n.T("Signing in"), Data: data, FormOrigin: clients.RedirectOrigin(req.RedirectURI),
	})
}

// SendError sends an error response (RFC 6749 section 4.1.2.1).
func (s *Sender) SendError(c echo.Context, req *flow.Request, e *oauth.Error) error {
	return s.Send(c, req, e.Params())
}
