package login

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// relayCookiePrefix starts the name of the cookie that holds the flow while the upstream posts its response. SAML
// limits the relay state to 80 bytes (SAML 2.0 bindings, section 3.5.3), so it holds only the name of the cookie.
const relayCookiePrefix = "fairlead-relay-"

// relayLength is the length of a relay state in characters.
const relayLength = 26

// postToUpstream makes the browser post a request to the upstream (SAML 2.0).
func (h *Handler) postToUpstream(c echo.Context, row *store.Connector, poster connectors.Poster, f *flow.Flow) error {
	ask, err := poster.AuthForm(c.Request().Context())
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s is not set up correctly. Ask an admin to check the connector.", row.Name)
	}
	away := *f
	away.Expires = 0
	away.Upstream = &flow.Upstream{ConnectorID: row.ID, State: ask.Kept, TestID: testID(f)}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), &away)
	if err != nil {
		return err
	}
	relay := strings.ToLower(secret.ID("r"))[2:]
	http.SetCookie(c.Response(), &http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: relayCookiePrefix + relay, Value: sealed, Path: h.Site.Path("/callback/"), MaxAge: int(flow.Lifetime.Seconds()),
		HttpOnly: true, Secure: h.Site.Secure(), SameSite: http.SameSiteLaxMode,
	})
	data := web.FormPostData{Action: ask.Action, Fields: []web.FormField{{Name: "RelayState", Value: relay}}}
	for name, value := range ask.Fields {
		data.Fields = append(data.Fields, web.FormField{Name: name, Value: value})
	}
	return web.Render(c, h.Site, web.View[web.FormPostData]{Page: web.FormPostPage(), Title: i18n.T("Signing in"), Data: data, FormOrigin: clients.RedirectOrigin(ask.Action)})
}

// maxFormAnswerBytes bounds the form of an upstream, in bytes.
const maxFormAnswerBytes = 512 << 10

// receiveForm receives an upstream's response. Browsers send no SameSite cookies with a form from another site, so
// the page posts the form again from this site.
func (h *Handler) receiveForm(c echo.Context) error {
	answer, relay := c.FormValue("SAMLResponse"), c.FormValue("RelayState")
	if answer == "" || len(answer) > maxFormAnswerBytes || !isRelay(relay) {
		return flow.ErrInvalid
	}
	data := web.FormPostData{
		Action: h.Site.Path("/callback/" + c.Param("connector") + "/answer"),
		Fields: []web.FormField{{Name: "RelayState", Value: relay}, {Name: "SAMLResponse", Value: answer}},
	}
	return web.Render(c, h.Site, web.View[web.FormPostData]{Page: web.FormPostPage(), Title: i18n.T("Signing in"), Data: data})
}

func isRelay(text string) bool {
	return len(text) == relayLength && !strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// finishFormCallback verifies the upstream's response in the browser that started the sign-in.
func (h *Handler) finishFormCallback(c echo.Context) error {
	relay := c.FormValue("RelayState")
	if !isRelay(relay) {
		return flow.ErrInvalid
	}
	cookie, err := c.Cookie(relayCookiePrefix + relay)
	if err != nil {
		return flow.ErrInvalid
	}
	f, err := h.Flows.Open(c.Request(), cookie.Value)
	if err != nil {
		return err
	}
	if f.Upstream == nil || f.Upstream.ConnectorID != c.Param("connector") {
		return flow.ErrInvalid
	}
	// The cookie works once, so that a response cannot sign in twice.
	c.SetCookie(&http.Cookie{Name: cookie.Name, Path: h.Site.Path("/callback/"), MaxAge: -1, HttpOnly: true, Secure: h.Site.Secure()}) //nolint:gosec // see postToUpstream
	form, err := c.FormParams()
	if err != nil {
		return flow.ErrInvalid
	}
	if f.Upstream.TestID != "" {
		return h.finishTest(c, f, func(opened connectors.Connector) (connectors.Identity, error) {
			poster, ok := opened.(connectors.Poster)
			if !ok {
				return connectors.Identity{}, flow.ErrInvalid
			}
			return poster.Answer(c.Request().Context(), f.Upstream.State, form)
		})
	}
	row, err := h.Store.Connector(c.Request().Context(), f.Upstream.ConnectorID)
	if err != nil {
		return err
	}
	person, err := h.Upstream.PostCallback(c.Request().Context(), row, f.Upstream.State, form)
	if err != nil {
		h.recordFailure(c, row, "", err)
		return err
	}
	return h.finishFirstFactor(c, row, firstFactor{person: person}, f)
}

// describe serves the document from which an upstream reads our settings (SAML metadata). It works before the
// connector is enabled, because the upstream has to be set up first.
func (h *Handler) describe(c echo.Context) error {
	row, err := h.Store.Connector(c.Request().Context(), c.Param("connector"))
	if err != nil {
		return err
	}
	contentType, document, err := h.Upstream.Describe(row)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, contentType, document)
}

// testID returns the id of the connector test that the flow belongs to, or "".
func testID(f *flow.Flow) string {
	if f.Upstream == nil {
		return ""
	}
	return f.Upstream.TestID
}

// StartTest sends the browser to the upstream of a test sign-in. It does not apply to connectors with a password
// form.
func (h *Handler) StartTest(c echo.Context, row *store.Connector, opened connectors.Connector, test string) error {
	f := &flow.Flow{Upstream: &flow.Upstream{ConnectorID: row.ID, TestID: test}}
	switch way := opened.(type) {
	case connectors.Poster:
		return h.postToUpstream(c, row, way, f)
	case connectors.Redirecter:
		return h.redirectToUpstream(c, row, way, f)
	}
	return errs.New(errs.Invalid, "%s does not sign users in by redirect. Test it with a user name and password.", row.Name)
}

// finishTest stores the result of a test sign-in. It starts no session.
func (h *Handler) finishTest(c echo.Context, f *flow.Flow, ask func(connectors.Connector) (connectors.Identity, error)) error {
	ctx := connectors.Observe(c.Request().Context())
	c.SetRequest(c.Request().WithContext(ctx))
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil {
		return flow.ErrInvalid
	}
	visit := session.Caller{Current: current, Address: c.RealIP()}
	_, opened, err := h.Tests.TestConnector(ctx, visit, f.Upstream.TestID)
	if err != nil {
		return err
	}
	said, fault := ask(opened)
	if err := h.Tests.FinishTest(ctx, visit, f.Upstream.TestID, said, fault); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/admin/tests/"+f.Upstream.TestID))
}
