package authorize

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/authcode"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
)

// Path is the path of the endpoint, below the issuer.
const Path = "/authorize"

// ContinuePath is where the sign-in and consent pages return to.
const ContinuePath = Path + "/continue"

// Handler serves the endpoint.
type Handler struct {
	Clients  *clients.Registry
	Sessions *session.Manager
	Upstream *upstream.Registry
	Access   *access.Policy
	Codes    *authcode.Granter
	// Consents finds the consents of users.
	Consents interface {
		Consented(ctx context.Context, userID, clientID string, scopes []string) (bool, error)
	}
	Flows     *flow.Sealer
	Responses *authresponse.Sender
	Site      *web.Site
	Audit     *audit.Log
	Now       func() time.Time
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET(Path, h.authorize)
	g.POST(Path, h.authorize)
	g.GET(ContinuePath, h.resume)
}

// authorize handles an authorization request from a client (OpenID Connect Core section 3.1.2.1).
func (h *Handler) authorize(c echo.Context) error {
	values := c.QueryParams()
	if c.Request().Method == http.MethodPost {
		if err := c.Request().ParseForm(); err != nil {
			return errs.Wrap(errs.Invalid, err, "This server can’t read the application’s request. Go back to the application and start again.")
		}
		values = c.Request().PostForm //nolint:forbidigo // a media type, not a call
	}
	params, repeated := oauth.SingleValues(values)
	if len(values["client_id"]) > 1 || len(values["redirect_uri"]) > 1 {
		return clientError("The application sent its client ID or its redirect URI more than once. Ask the owner of the application to fix the request.")
	}
	p, err := h.parse(c.Request().Context(), params, repeated)
	if err != nil {
		return h.sendError(c, p, err)
	}
	return h.nextStep(c, p)
}

// resume continues a request after the sign-in or consent page.
func (h *Handler) resume(c echo.Context) error {
	f, err := h.Flows.Open(c.Request(), c.QueryParam("flow"))
	if err != nil {
		return err
	}
	if f.Request == nil {
		return c.Redirect(http.StatusSeeOther, h.Site.Path(flow.LocalPath(f.ReturnTo)))
	}
	client, err := h.Clients.Find(c.Request().Context(), f.Request.ClientID)
	if err != nil {
		return err
	}
	return h.nextStep(c, &request{client: client, flow: f})
}

// nextStep decides which page comes next, or issues the code.
func (h *Handler) nextStep(c echo.Context, p *request) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil || current.SignIn.Authenticated < p.flow.AuthenticatedAfter {
		return h.showPage(c, p, "/login", oauth.Errorf(oauth.LoginRequired, "No user is signed in. Start again without prompt=none."))
	}
	p.signIn = current
	again, err := h.needsSignIn(c, current)
	if err != nil {
		return h.sendError(c, p, err)
	}
	if again {
		p.flow.AuthenticatedAfter = store.At(h.Now())
		return h.showPage(c, p, "/login", oauth.Errorf(oauth.LoginRequired, "The identity provider could not confirm the user. The user must sign in again."))
	}
	if subject := p.flow.Request.HintedUserID; subject != "" && subject != current.User.ID {
		return h.switchUser(c, p)
	}
	if err := h.checkClusterAccess(c, p, current); err != nil {
		return h.sendError(c, p, err)
	}
	if p.client.Public {
		return h.showPage(c, p, "/confirm", oauth.Errorf(oauth.InteractionRequired, "The user must confirm this request. Start again without prompt=none."))
	}
	agreed, err := h.hasConsent(c, p, current)
	if err != nil {
		return h.sendError(c, p, err)
	}
	if !agreed {
		return h.showPage(c, p, "/confirm", oauth.Errorf(oauth.ConsentRequired, "The user must consent to this request. Start again without prompt=none."))
	}
	return h.grant(c, p, current)
}

// needsSignIn reports whether the upstream does not confirm the signed-in user: it refuses them, or has been
// unreachable for too long. A code could not be redeemed then. A sign-in asks the upstream anew.
func (h *Handler) needsSignIn(c echo.Context, current *session.Current) (bool, error) {
	user, err := h.Upstream.RecheckSession(c.Request().Context(), current.User, current.SignIn)
	switch {
	case err == nil:
		current.User = user
		return false, nil
	case errors.Is(err, store.ErrOutage):
		return false, err
	case errs.Is(err, errs.Denied), errs.Is(err, errs.Unavailable):
		return true, nil
	}
	return false, err
}

// switchUser handles a request for another user than the signed-in one (OpenID Connect Core section 3.1.2.2). The
// user can sign in as the requested user once.
func (h *Handler) switchUser(c echo.Context, p *request) error {
	refusal := oauth.Errorf(oauth.LoginRequired, "Another user is signed in. Sign in as the requested user.")
	if p.flow.Request.SwitchRequested {
		return h.sendError(c, p, refusal)
	}
	p.flow.Request.SwitchRequested, p.flow.AuthenticatedAfter = true, store.At(h.Now())
	return h.showPage(c, p, "/login", refusal)
}

// hasConsent reports whether the user has already consented to what the client requests.
func (h *Handler) hasConsent(c echo.Context, p *request, current *session.Current) (bool, error) {
	if p.flow.Request.ForceConsent {
		return false, nil
	}
	if p.client.FirstParty {
		return true, nil
	}
	return h.Consents.Consented(c.Request().Context(), current.User.ID, p.client.ID, p.client.Asks(p.flow.Request.Scopes))
}

// showPage sends the browser to a page. With prompt=none it sends the client an error instead.
func (h *Handler) showPage(c echo.Context, p *request, page string, refusal *oauth.Error) error {
	if p.silent {
		return h.sendError(c, p, refusal)
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), p.flow)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path(page)+"?flow="+url.QueryEscape(sealed))
}

// checkClusterAccess refuses a cluster that the user may not use, before any page asks for consent.
func (h *Handler) checkClusterAccess(c echo.Context, p *request, current *session.Current) error {
	if p.client.Cluster == nil {
		return nil
	}
	_, err := h.Access.Authorize(c.Request().Context(), current.User, p.client.Cluster,
		audit.Event{ClientID: p.client.ID, SignInID: current.SignIn.ID, Address: c.RealIP()})
	if errs.Is(err, errs.Denied) {
		return oauth.Errorf(oauth.AccessDenied, "%s", errs.Message(err)).WithReason("no_access_rule")
	}
	return err
}

func (h *Handler) grant(c echo.Context, p *request, current *session.Current) error {
	params, err := h.Codes.Grant(c.Request().Context(), p.client, p.flow.Request, current, c.RealIP())
	if err != nil {
		return h.sendError(c, p, err)
	}
	return h.Responses.Send(c, p.flow.Request, params)
}

// sendError sends the error to the redirect URI if that is trusted, else it shows a page to the user.
func (h *Handler) sendError(c echo.Context, p *request, err error) error {
	h.recordRefusal(c, p, err)
	if p == nil || p.flow == nil {
		return err
	}
	return h.Responses.SendError(c, p.flow.Request, oauth.FromError(err))
}

func (h *Handler) recordRefusal(c echo.Context, p *request, err error) {
	if p == nil || p.flow == nil {
		return // a log only: anyone can invent client ids, and would fill the audit table
	}
	e := oauth.FromError(err)
	switch e.Code {
	case oauth.LoginRequired, oauth.InteractionRequired, oauth.ConsentRequired:
		return // a failed prompt=none request is not a refusal
	default:
	}
	event := audit.Event{Name: audit.AuthorizationRefused, ClientID: p.client.ID, Address: c.RealIP(), Reason: e.Reason, Detail: e.Description}
	if p.signIn == nil {
		h.Audit.LogOnly(c.Request().Context(), event) // a log only: the request is unauthenticated, and could fill the audit table
		return
	}
	event.UserID, event.UserName, event.SignInID = p.signIn.User.ID, p.signIn.User.KubeName, p.signIn.SignIn.ID
	h.Audit.Record(c.Request().Context(), event)
}
