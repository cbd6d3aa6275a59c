package authorize

import (
	"context"
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
)

// Path is where the endpoint is, below the issuer.
const Path = "/authorize"

// ContinuePath is where the steps come back to.
const ContinuePath = Path + "/continue"

// Handler is the endpoint.
type Handler struct {
	Clients  *clients.Registry
	Sessions *session.Manager
	Access   *access.Policy
	Codes    *authcode.Granter
	// Consents says what people have agreed to.
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

// authorize reads a request from a client (OpenID Connect Core section 3.1.2.1).
func (h *Handler) authorize(c echo.Context) error {
	values := c.QueryParams()
	if c.Request().Method == http.MethodPost {
		if err := c.Request().ParseForm(); err != nil {
			return errs.Wrap(errs.Invalid, err, "This server can’t read the application’s request. Go back to the application and start again.")
		}
		values = c.Request().PostForm //nolint:forbidigo // the form of this request, not a call
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

// resume comes back from a step.
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

// nextStep decides what comes next.
func (h *Handler) nextStep(c echo.Context, p *request) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil || current.SignIn.Authenticated < p.flow.AuthenticatedAfter {
		return h.showPage(c, p, "/login", oauth.Errorf(oauth.LoginRequired, "No user is signed in. Start again without prompt=none."))
	}
	p.signIn = current
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

// switchUser deals with a request that is about somebody else than who is signed
// in (OpenID Connect Core section 3.1.2.2): they may sign in, once.
func (h *Handler) switchUser(c echo.Context, p *request) error {
	refusal := oauth.Errorf(oauth.LoginRequired, "Another user is signed in. Sign in as the requested user.")
	if p.flow.Request.SwitchRequested {
		return h.sendError(c, p, refusal)
	}
	p.flow.Request.SwitchRequested, p.flow.AuthenticatedAfter = true, store.At(h.Now())
	return h.showPage(c, p, "/login", refusal)
}

// hasConsent reports whether the person need not be asked what the client may see.
func (h *Handler) hasConsent(c echo.Context, p *request, current *session.Current) (bool, error) {
	if p.flow.Request.ForceConsent {
		return false, nil
	}
	if p.client.FirstParty {
		return true, nil
	}
	return h.Consents.Consented(c.Request().Context(), current.User.ID, p.client.ID, p.flow.Request.Scopes)
}

// showPage sends the browser to a page, or tells the client that it would have to.
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

// checkClusterAccess refuses a cluster that the person may not use, before they are asked
// anything.
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

// sendError answers the client when it can be trusted with the answer, else the
// person.
func (h *Handler) sendError(c echo.Context, p *request, err error) error {
	h.recordRefusal(c, p, err)
	if p == nil || p.flow == nil {
		return err
	}
	return h.Responses.SendError(c, p.flow.Request, oauth.FromError(err))
}

func (h *Handler) recordRefusal(c echo.Context, p *request, err error) {
	if p == nil || p.flow == nil {
		return // an unknown client could fill the log
	}
	e := oauth.FromError(err)
	switch e.Code {
	case oauth.LoginRequired, oauth.InteractionRequired, oauth.ConsentRequired:
		return // a silent look that found nobody is no refusal
	default:
	}
	event := audit.Event{Name: audit.AuthorizationRefused, ClientID: p.client.ID, Address: c.RealIP(), Reason: e.Reason, Detail: e.Description}
	if p.signIn == nil {
		h.Audit.LogOnly(c.Request().Context(), event) // anybody could fill the log
		return
	}
	event.UserID, event.UserName, event.SignInID = p.signIn.User.ID, p.signIn.User.KubeName, p.signIn.SignIn.ID
	h.Audit.Record(c.Request().Context(), event)
}
