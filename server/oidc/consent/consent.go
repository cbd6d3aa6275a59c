// Package consent serves the page on which a user confirms the sign-in of a
// program, or consents to what an application can see. Public clients can't prove
// their identity, so the user confirms each time (RFC 8252 section 8.6). Consent
// for a confidential client is stored.
package consent

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/authcode"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the page.
type Handler struct {
	Clients   *clients.Registry
	Sessions  *session.Manager
	Access    *access.Policy
	Codes     *authcode.Granter
	Flows     *flow.Sealer
	Responses *authresponse.Sender
	Store     *store.Store
	Site      *web.Site
	Audit     *audit.Log
	Now       func() time.Time
}

// Data is the data of the page.
type Data struct {
	Client, Host, Account, Flow, OtherAccount string
	May                                       i18n.Text
	Lasting, Idle                             time.Duration
	// Application distinguishes a web application from a program on the user's computer. Address is the
	// application's host.
	Application bool
	Address     string
}

// Page asks the user to confirm the sign-in.
func Page() templates.Page[Data] { return templates.Define[Data]("login/confirm") }

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/confirm", h.show)
	g.POST("/confirm", h.submit)
}

// pending is a request that waits for the user's answer.
type pending struct {
	flow    *flow.Flow
	client  *clients.Client
	current *session.Current
}

// load reads the request and the session. It returns nil if the user must sign in.
func (h *Handler) load(c echo.Context, sealed string) (*pending, error) {
	f, err := h.Flows.Open(c.Request(), sealed)
	if err != nil {
		return nil, err
	}
	if f.Request == nil {
		return nil, flow.ErrInvalid
	}
	client, err := h.Clients.Find(c.Request().Context(), f.Request.ClientID)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.Wrap(errs.NotFound, err, "The cluster or application was removed during the sign-in. Choose another one, or ask an admin.")
	}
	if err != nil {
		return nil, err
	}
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return nil, err
	}
	return &pending{flow: f, client: client, current: current}, nil
}

// restartIfStale sends the browser back to the authorization endpoint if its session has ended.
func (h *Handler) restartIfStale(c echo.Context, p *pending) (bool, error) {
	meant := p.flow.Request.HintedUserID // another user may have signed in since
	if p.current != nil && p.current.SignIn.Authenticated >= p.flow.AuthenticatedAfter && (meant == "" || meant == p.current.User.ID) {
		return false, nil
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), p.flow)
	if err != nil {
		return true, err
	}
	return true, c.Redirect(http.StatusSeeOther, h.Site.Path("/login")+"?flow="+url.QueryEscape(sealed))
}

func (h *Handler) show(c echo.Context) error {
	p, err := h.load(c, c.QueryParam("flow"))
	if err != nil {
		return err
	}
	if gone, err := h.restartIfStale(c, p); gone {
		return err
	}
	again := *p.flow
	again.AuthenticatedAfter = store.At(h.Now())
	other, err := h.Flows.Seal(c.Response(), c.Request(), &again)
	if err != nil {
		return err
	}
	data := Data{
		Client: p.client.Name, Host: p.flow.Request.ClientHost, Account: accountLabel(p.current), May: p.client.Permission(p.client.Asks(p.flow.Request.Scopes)),
		Idle: h.Sessions.RuntimeSettings.Get().IdleTimeout, Flow: c.QueryParam("flow"),
		OtherAccount: h.Site.Path("/login") + "?choose=yes&flow=" + url.QueryEscape(other),
		Application:  !p.client.Public, Address: clients.RedirectOrigin(p.flow.Request.RedirectURI),
	}
	if slices.Contains(p.flow.Request.Scopes, oauth.ScopeOfflineAccess) {
		data.Lasting = h.Sessions.RuntimeSettings.Get().AbsoluteTimeout
	}
	return web.Render(c, h.Site, web.View[Data]{
		Page: Page(), Title: i18n.T("Confirm"), Data: data, FormOrigin: clients.RedirectOrigin(p.flow.Request.RedirectURI),
	})
}

func accountLabel(current *session.Current) string {
	if current.User.Email != "" {
		return current.User.Label() + " (" + current.User.Email + ")"
	}
	return current.User.Label() + " (" + current.User.KubeName + ")"
}

func (h *Handler) submit(c echo.Context) error {
	p, err := h.load(c, c.FormValue("flow"))
	if err != nil {
		return err
	}
	if gone, err := h.restartIfStale(c, p); gone {
		return err
	}
	if c.FormValue("answer") != "yes" {
		return h.refuse(c, p, oauth.Errorf(oauth.AccessDenied, "The user canceled the sign-in on the confirmation page. Start again if this was a mistake.").WithReason("person_said_no"))
	}
	if err := h.checkClusterAccess(c, p); err != nil {
		return err
	}
	if !p.client.Public {
		if err := h.storeConsent(c, p); err != nil {
			return err
		}
	}
	params, err := h.Codes.Grant(c.Request().Context(), p.client, p.flow.Request, p.current, c.RealIP())
	if err != nil {
		return err
	}
	return h.Responses.Send(c, p.flow.Request, params)
}

func (h *Handler) storeConsent(c echo.Context, p *pending) error {
	ctx, user := c.Request().Context(), p.current.User
	scopes := p.client.Asks(p.flow.Request.Scopes)
	if err := h.Store.GrantConsent(ctx, user.ID, p.client.ID, scopes, h.Now()); err != nil {
		return err
	}
	h.Audit.Record(ctx, audit.Event{
		Name: audit.ConsentGranted, UserID: user.ID, UserName: user.KubeName, SignInID: p.current.SignIn.ID, ClientID: p.client.ID,
		Address: c.RealIP(), Detail: strings.Join(scopes, " "),
	})
	return nil
}

// checkClusterAccess checks again whether the user may use the cluster, because another user may have signed in
// since.
func (h *Handler) checkClusterAccess(c echo.Context, p *pending) error {
	if p.client.Cluster == nil {
		return nil
	}
	_, err := h.Access.Authorize(c.Request().Context(), p.current.User, p.client.Cluster,
		audit.Event{ClientID: p.client.ID, SignInID: p.current.SignIn.ID, Address: c.RealIP()})
	return err
}

func (h *Handler) refuse(c echo.Context, p *pending, e *oauth.Error) error {
	h.Audit.Record(c.Request().Context(), audit.Event{
		Name: audit.AuthorizationRefused, UserID: p.current.User.ID, UserName: p.current.User.KubeName,
		SignInID: p.current.SignIn.ID, ClientID: p.client.ID, Address: c.RealIP(), Reason: e.Reason,
	})
	return h.Responses.SendError(c, p.flow.Request, e)
}
