// Package login serves the sign-in pages: the choice of a connector, the password
// form, the redirect to an upstream and its callback, and the second factor. It
// then begins a session. Package authorize or a portal page decides where the
// browser goes next.
package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the sign-in pages.
type Handler struct {
	Store    *store.Store
	Clients  *clients.Registry
	Sessions *session.Manager
	Upstream *upstream.Registry
	Limit    *ratelimit.Limiter
	Flows    *flow.Sealer
	Site     *web.Site
	Audit    *audit.Log
	Now      func() time.Time
	// Passkeys verifies passkeys. It is nil when the site cannot have passkeys.
	Passkeys *mfa.Passkeys
	// Tests receives the results of test sign-ins.
	Tests Tester
}

// Tester runs test sign-ins with unsaved settings. Package server/admin implements it.
type Tester interface {
	// TestConnector returns the connector of a test that this user started in this browser.
	TestConnector(ctx context.Context, by session.Caller, id string) (*store.Connector, connectors.Connector, error)
	// FinishTest stores the result of a test.
	FinishTest(ctx context.Context, by session.Caller, id string, said connectors.Identity, fault error) error
}

// Choice is a connector on the sign-in page.
type Choice struct {
	ID, Name, Icon, URL string
	// LastUsed marks the connector of this browser's last sign-in.
	LastUsed bool
}

// ChooseData is the data of ChoosePage.
type ChooseData struct {
	For     i18n.Text
	Choices []Choice
	// Notice is a text of the admins for all users.
	Notice string
}

// PasswordData is the data of PasswordPage.
type PasswordData struct {
	For, UsernameLabel, Error   i18n.Text
	Connector, Username, Action string
	Flow, Others, Notice        string
	// Passkey is what the browser needs to ask for a passkey that signs in by itself; empty when no user of the
	// connector has one. PasskeyFlow comes back with the answer.
	Passkey, PasskeyFlow string
}

// ChoosePage lists the connectors.
func ChoosePage() templates.Page[ChooseData] { return templates.Define[ChooseData]("login/choose") }

// PasswordPage asks for user name and password.
func PasswordPage() templates.Page[PasswordData] {
	return templates.Define[PasswordData]("login/password")
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/login", h.choose)
	g.GET("/login/:connector", h.start)
	g.POST("/login/:connector", h.submitPassword)
	g.POST("/login/:connector/passkey", h.submitPasskey)
	g.GET("/login/second", h.showSecondFactor)
	g.POST("/login/second", h.submitSecondFactor)
	g.GET("/login/second/code.png", h.secondFactorQRCode)
	g.GET("/callback/:connector", h.callback)
	g.GET("/callback/:connector/metadata", h.describe)
	g.POST("/callback/:connector", h.receiveForm)
	g.POST("/callback/:connector/answer", h.finishFormCallback)
}

// openFlow reads the flow of a request. Without one the sign-in leads to the list of clusters.
func (h *Handler) openFlow(c echo.Context, sealed string) (*flow.Flow, error) {
	if sealed == "" {
		return &flow.Flow{ReturnTo: flow.LocalPath(c.QueryParam("return_to"))}, nil
	}
	return h.Flows.Open(c.Request(), sealed)
}

func (h *Handler) choose(c echo.Context) error {
	f, err := h.openFlow(c, c.QueryParam("flow"))
	if err != nil {
		return err
	}
	rows, err := h.Store.Connectors(c.Request().Context())
	if err != nil {
		return err
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), f)
	if err != nil {
		return err
	}
	choices, asked := h.choices(rows, f, sealed)
	// With a single connector the page is skipped, unless the user came back to choose.
	if asked == "" && len(choices) == 1 && c.QueryParam("choose") == "" {
		asked = choices[0].URL
	}
	if asked != "" {
		return c.Redirect(http.StatusSeeOther, asked)
	}
	name, err := h.destination(c, f)
	if err != nil {
		return err
	}
	return web.Render(c, h.Site, web.View[ChooseData]{
		Page: ChoosePage(), Title: i18n.T("Sign in"), Data: ChooseData{For: name, Choices: h.lastUsedFirst(c, choices), Notice: h.Site.RuntimeSettings().Notice},
	})
}

// choices returns the connectors of the page, and the URL of the one that the client requested, if any.
func (h *Handler) choices(rows []store.Connector, f *flow.Flow, sealed string) (choices []Choice, asked string) {
	for _, row := range rows {
		if !row.Enabled {
			continue
		}
		address := h.Site.Path("/login/"+row.ID) + "?flow=" + url.QueryEscape(sealed)
		if f.Request != nil && f.Request.ConnectorID == row.ID {
			asked = address
		}
		if !row.Hidden {
			choices = append(choices, Choice{ID: row.ID, Name: row.Name, Icon: h.Upstream.Icon(row.Type), URL: address})
		}
	}
	return choices, asked
}

// destination returns the name of the client that requested the sign-in.
func (h *Handler) destination(c echo.Context, f *flow.Flow) (i18n.Text, error) {
	if f.Request == nil {
		return i18n.Text{}, nil
	}
	client, err := h.Clients.Find(c.Request().Context(), f.Request.ClientID)
	if err != nil {
		return i18n.Text{}, err
	}
	if f.Request.ClientHost != "" {
		return i18n.T("%s on %s", client.Name, f.Request.ClientHost), nil
	}
	return i18n.Verbatim(client.Name), nil
}

// start shows the password form or redirects to the upstream.
func (h *Handler) start(c echo.Context) error {
	f, err := h.openFlow(c, c.QueryParam("flow"))
	if err != nil {
		return err
	}
	row, opened, err := h.connector(c)
	if err != nil {
		return err
	}
	if poster, ok := opened.(connectors.Poster); ok {
		return h.postToUpstream(c, row, poster, f)
	}
	redirecter, ok := opened.(connectors.Redirecter)
	if !ok {
		hint := ""
		if f.Request != nil {
			hint = f.Request.LoginHint
		}
		return h.showPasswordForm(c, passwordForm{row: row, opened: opened, flow: f, username: hint})
	}
	return h.redirectToUpstream(c, row, redirecter, f)
}

func (h *Handler) connector(c echo.Context) (*store.Connector, connectors.Connector, error) {
	ctx := c.Request().Context()
	row, err := h.Store.Connector(ctx, c.Param("connector"))
	if errs.Is(err, errs.NotFound) {
		return nil, nil, errs.Wrap(errs.NotFound, err, "This way to sign in was removed. Choose another one.")
	}
	if err != nil {
		return nil, nil, err
	}
	opened, err := h.Upstream.Connector(ctx, row)
	return row, opened, err
}

// redirectToUpstream sends the browser to the upstream. The connector's own data is encrypted in the state
// parameter, which only this browser can use.
func (h *Handler) redirectToUpstream(c echo.Context, row *store.Connector, redirecter connectors.Redirecter, f *flow.Flow) error {
	away := *f
	away.Expires = 0
	// The connector needs the state before it returns its data. It therefore gets a placeholder that is replaced
	// below.
	const handle = "FAIRLEADSTATE"
	address, kept, err := redirecter.AuthURL(c.Request().Context(), CallbackURL(h.Site, row.ID), handle)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s does not answer. Try again in a minute.", row.Name)
	}
	away.Upstream = &flow.Upstream{ConnectorID: row.ID, State: kept, TestID: testID(f)}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), &away)
	if err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s is not set up correctly. Ask an admin to check the connector.", row.Name)
	}
	q := u.Query()
	q.Set("state", sealed)
	u.RawQuery = q.Encode()
	return c.Redirect(http.StatusSeeOther, u.String())
}

// CallbackURL returns the redirect URI of a connector. Each connector has its own, so that one upstream cannot
// answer for another.
func CallbackURL(site *web.Site, connectorID string) string {
	return site.Absolute("/callback/" + connectorID)
}

// callback handles the upstream's redirect.
func (h *Handler) callback(c echo.Context) error {
	f, err := h.Flows.Open(c.Request(), c.QueryParam("state"))
	if err != nil {
		return err
	}
	// The state is bound to one connector. Otherwise an upstream could pass its response off as that of another
	// (mix-up attack).
	if f.Upstream == nil || f.Upstream.ConnectorID != c.Param("connector") {
		return flow.ErrInvalid
	}
	if f.Upstream.TestID != "" {
		return h.finishTest(c, f, func(opened connectors.Connector) (connectors.Identity, error) {
			redirecter, ok := opened.(connectors.Redirecter)
			if !ok {
				return connectors.Identity{}, flow.ErrInvalid
			}
			return redirecter.Callback(c.Request().Context(), h.Upstream.CallbackURL(f.Upstream.ConnectorID), f.Upstream.State, c.Request())
		})
	}
	row, err := h.Store.Connector(c.Request().Context(), f.Upstream.ConnectorID)
	if err != nil {
		return err
	}
	person, err := h.Upstream.Callback(c.Request(), row, f.Upstream.State)
	if err != nil {
		h.recordFailure(c, row, "", err)
		return err
	}
	return h.finishFirstFactor(c, row, firstFactor{person: person}, f)
}

// firstFactor is a user who has passed the first factor, with the RFC 8176 methods.
type firstFactor struct {
	person  store.ResolvedIdentity
	methods []string
	// complete is set when a second factor was shown as well: by a passkey whose device checked the user.
	complete bool
}

// authenticated is a user who has passed all required factors.
type authenticated struct {
	user    *store.User
	methods []string
}

// finishFirstFactor starts the session, or asks for the second factor first.
func (h *Handler) finishFirstFactor(c echo.Context, row *store.Connector, p firstFactor, f *flow.Flow) error {
	ctx := c.Request().Context()
	user, created, err := h.Store.SignInUser(ctx, p.person, h.Now())
	if err == nil && user.Disabled {
		err = errs.New(errs.Denied, "The account %s is disabled. Ask an admin to enable it.", user.KubeName)
	}
	if err != nil {
		h.recordFailure(c, row, p.person.KubeName, err)
		return err
	}
	second, err := h.needsSecondFactor(ctx, row, user)
	if err != nil {
		return err
	}
	if created {
		h.Audit.Record(ctx, audit.Event{Name: audit.UserCreated, UserID: user.ID, UserName: user.KubeName, ConnectorID: row.ID, Address: c.RealIP()})
	}
	if second && !p.complete {
		return h.startSecondFactor(c, row, user, p.methods, f)
	}
	return h.beginSession(c, row, authenticated{user: user, methods: p.methods}, f)
}

// beginSession starts the session and sends the browser to its destination.
func (h *Handler) beginSession(c echo.Context, row *store.Connector, a authenticated, f *flow.Flow) error {
	user := a.user
	current, err := h.Sessions.Begin(c.Response(), c.Request(), session.Authentication{User: user, Methods: a.methods, Address: c.RealIP()})
	if err != nil {
		return err
	}
	h.rememberConnector(c, row.ID)
	h.Audit.Record(c.Request().Context(), audit.Event{
		Name: audit.SignInSucceeded, UserID: user.ID, UserName: user.KubeName, SignInID: current.SignIn.ID, ConnectorID: row.ID, Address: c.RealIP(),
	})
	return h.continueFlow(c, f)
}

func (h *Handler) continueFlow(c echo.Context, f *flow.Flow) error {
	if f.Request == nil {
		return c.Redirect(http.StatusSeeOther, h.Site.Path(flow.LocalPath(f.ReturnTo)))
	}
	onward := *f
	onward.Upstream, onward.PasskeySession = nil, ""
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), &onward)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/authorize/continue")+"?flow="+url.QueryEscape(sealed))
}

// recordFailure records a failed sign-in. It shortens the user name, because users sometimes type their password
// there.
func (h *Handler) recordFailure(c echo.Context, row *store.Connector, name string, err error) {
	if errors.Is(err, errStillTooMany) {
		return
	}
	event := audit.Event{
		Name: audit.SignInFailed, UserName: name, ConnectorID: row.ID, Address: c.RealIP(), Reason: string(errs.KindOf(err)),
	}
	if errors.Is(err, errTooMany) {
		event.Name, event.Reason = audit.SignInRefused, "too_many_failures"
	}
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.Conflict) {
		event.Name, event.Detail = audit.SignInRefused, err.Error()
	}
	h.Audit.Record(c.Request().Context(), event)
}
