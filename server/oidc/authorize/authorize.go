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
	Flows *flow.Sealer
	Reply *authresponse.Sender
	Site  *web.Site
	Audit *audit.Log
	Now   func() time.Time
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET(Path, h.begin)
	g.POST(Path, h.begin)
	g.GET(ContinuePath, h.proceed)
}

// begin reads a request from a client (OpenID Connect Core section 3.1.2.1).
func (h *Handler) begin(c echo.Context) error {
	values := c.QueryParams()
	if c.Request().Method == http.MethodPost {
		if err := c.Request().ParseForm(); err != nil {
			return errs.Wrap(errs.Invalid, err, "The request of the application could not be read.")
		}
		values = c.Request().PostForm //nolint:forbidigo // the form of this request, not a call
	}
	params, repeated := oauth.Single(values)
	if len(values["client_id"]) > 1 || len(values["redirect_uri"]) > 1 {
		return clientError("The application that sent you here named itself or its return address twice. Tell its owner.")
	}
	p, err := h.parse(c.Request().Context(), params, repeated)
	if err != nil {
		return h.fail(c, p, err)
	}
	return h.step(c, p)
}

// proceed comes back from a step.
func (h *Handler) proceed(c echo.Context) error {
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
	return h.step(c, &parsed{client: client, flow: f})
}

// step decides what comes next.
func (h *Handler) step(c echo.Context, p *parsed) error {
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil || current.SignIn.Authenticated < p.flow.Fresh {
		return h.ask(c, p, "/login", oauth.Errorf(oauth.LoginRequired, "Nobody is signed in."))
	}
	p.current = current
	if subject := p.flow.Request.Subject; subject != "" && subject != current.User.ID {
		return h.switchUser(c, p)
	}
	if err := h.admit(c, p, current); err != nil {
		return h.fail(c, p, err)
	}
	if p.client.Public {
		return h.ask(c, p, "/confirm", oauth.Errorf(oauth.InteractionRequired, "The person must confirm."))
	}
	agreed, err := h.agreed(c, p, current)
	if err != nil {
		return h.fail(c, p, err)
	}
	if !agreed {
		return h.ask(c, p, "/confirm", oauth.Errorf(oauth.ConsentRequired, "The person must agree."))
	}
	return h.grant(c, p, current)
}

// switchUser deals with a request that is about somebody else than who is signed
// in (OpenID Connect Core section 3.1.2.2): they may sign in, once.
func (h *Handler) switchUser(c echo.Context, p *parsed) error {
	refusal := oauth.Errorf(oauth.LoginRequired, "Somebody else is signed in.")
	if p.flow.Request.Switched {
		return h.fail(c, p, refusal)
	}
	p.flow.Request.Switched, p.flow.Fresh = true, store.At(h.Now())
	return h.ask(c, p, "/login", refusal)
}

// agreed reports whether the person need not be asked what the client may see.
func (h *Handler) agreed(c echo.Context, p *parsed, current *session.Current) (bool, error) {
	if p.flow.Request.Ask {
		return false, nil
	}
	if p.client.FirstParty {
		return true, nil
	}
	return h.Consents.Consented(c.Request().Context(), current.User.ID, p.client.ID, p.flow.Request.Scopes)
}

// ask sends the browser to a page, or tells the client that it would have to.
func (h *Handler) ask(c echo.Context, p *parsed, page string, refusal *oauth.Error) error {
	if p.silent {
		return h.fail(c, p, refusal)
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), p.flow)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path(page)+"?flow="+url.QueryEscape(sealed))
}

// admit refuses a cluster that the person may not use, before they are asked
// anything.
func (h *Handler) admit(c echo.Context, p *parsed, current *session.Current) error {
	if p.client.Cluster == nil {
		return nil
	}
	_, err := h.Access.Use(c.Request().Context(), current.User, p.client.Cluster,
		audit.Event{ClientID: p.client.ID, SignInID: current.SignIn.ID, Address: c.RealIP()})
	if errs.Is(err, errs.Denied) {
		return oauth.Errorf(oauth.AccessDenied, "%s", errs.Message(err)).Because("no_access_rule")
	}
	return err
}

func (h *Handler) grant(c echo.Context, p *parsed, current *session.Current) error {
	params, err := h.Codes.Grant(c.Request().Context(), p.client, p.flow.Request, current, c.RealIP())
	if err != nil {
		return h.fail(c, p, err)
	}
	return h.Reply.Send(c, p.flow.Request, params)
}

// fail answers the client when it can be trusted with the answer, else the
// person.
func (h *Handler) fail(c echo.Context, p *parsed, err error) error {
	h.recordRefusal(c, p, err)
	if p == nil || p.flow == nil {
		return err
	}
	return h.Reply.Refuse(c, p.flow.Request, oauth.From(err))
}

func (h *Handler) recordRefusal(c echo.Context, p *parsed, err error) {
	if p == nil || p.flow == nil {
		return // an unknown client could fill the log
	}
	e := oauth.From(err)
	switch e.Code {
	case oauth.LoginRequired, oauth.InteractionRequired, oauth.ConsentRequired:
		return // a silent look that found nobody is no refusal
	default:
	}
	event := audit.Event{Name: audit.AuthorizationRefused, ClientID: p.client.ID, Address: c.RealIP(), Reason: e.Reason, Detail: e.Description}
	if p.current == nil {
		h.Audit.Mention(c.Request().Context(), event) // anybody could fill the log
		return
	}
	event.UserID, event.UserName, event.SignInID = p.current.User.ID, p.current.User.KubeName, p.current.SignIn.ID
	h.Audit.Record(c.Request().Context(), event)
}
