// Package recovery serves the pages for users who cannot sign in with a connector: the first setup, the recovery
// sign-in, and invitations of local users. The pages work when every connector is down. Package server/admin decides
// who may use them.
package recovery

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/secret"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the pages.
type Handler struct {
	Admin    *ops.Admin
	Sessions *session.Manager
	Site     *web.Site
	Keyring  *secret.Keyring
	Now      func() time.Time
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/admin/setup", h.setup)
	g.POST("/admin/setup", h.create)
	g.GET("/admin/setup/code.png", h.picture)
	g.GET("/admin/recover", h.ask)
	g.POST("/admin/recover", h.signIn)
	g.GET("/invitation/:token", h.invitation)
	g.POST("/invitation/:token", h.accept)
}

// SetupData is the data of the page that creates a recovery account.
type SetupData struct {
	// First is set while the server has no admin yet.
	First bool
	// URL is the configured address of this server. Seen is the address in the browser, if it differs. Plain is set
	// without TLS.
	URL, Seen   string
	Plain       bool
	Login       string
	TOTP        string
	Picture     string
	Sealed      string
	Faults      ops.AccountError
	Least       int
	LoginFault  string
	PassFault   string
	AgainFault  string
	CodeFault   string
	AnyProblems bool
	// Passkey has the options for the browser to create a passkey. Kept comes back with the answer.
	Passkey, Kept string
	PasskeyFault  string
}

// SetupPage creates a recovery account.
func SetupPage() templates.Page[SetupData] { return templates.Define[SetupData]("admin/setup") }

const cookieLife = time.Hour

// cookieName is the cookie that holds the token of a link while the admin fills in the form. The token leaves the
// address bar at once.
func (h *Handler) cookieName() string {
	if h.Site.Secure() {
		return "__Host-fairlead-setup"
	}
	return "fairlead-setup"
}

func (h *Handler) setCookie(c echo.Context, value string, age time.Duration) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure is off on plain http, which is loopback only
		Name: h.cookieName(), Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: h.Site.Secure(), SameSite: http.SameSiteLaxMode,
	})
}

func (h *Handler) token(c echo.Context) string {
	cookie, err := c.Cookie(h.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (h *Handler) setup(c echo.Context) error {
	if token := c.QueryParam("token"); token != "" {
		if _, err := h.Admin.OpenLink(c.Request().Context(), token, c.RealIP()); err != nil {
			return err
		}
		h.setCookie(c, token, cookieLife)
		return c.Redirect(http.StatusSeeOther, h.Site.Path("/admin/setup"))
	}
	return h.form(c, SetupData{}, http.StatusOK)
}

func (h *Handler) form(c echo.Context, data SetupData, status int) error {
	purpose, err := h.Admin.OpenLink(c.Request().Context(), h.token(c), c.RealIP())
	if err != nil {
		return err
	}
	if data.TOTP == "" {
		data.TOTP = mfa.NewTOTPSecret()
	}
	data.First, data.URL, data.Least = purpose == store.LinkSetup, h.Site.Absolute(""), ops.MinPassword
	data.Plain = !h.Site.Secure()
	if c.Request().Host != h.Site.Host() {
		data.Seen = c.Request().Host
	}
	data.Sealed = h.Keyring.Seal(h.context(c), []byte(data.TOTP))
	data.Picture = h.Site.Path("/admin/setup/code.png") + "?of=" + data.Sealed
	if err := h.offerPasskey(c, &data); err != nil {
		return err
	}
	data.LoginFault, data.PassFault, data.AgainFault, data.CodeFault = data.Faults["login"].String(), data.Faults["password"].String(), data.Faults["again"].String(), data.Faults["code"].String()
	data.PasskeyFault = data.Faults["passkey"].String()
	data.AnyProblems = len(data.Faults) > 0
	title := i18n.T("Recovery account")
	if data.First {
		title = i18n.T("Set up %s", h.Site.RuntimeSettings().Brand)
	}
	return web.Render(c, h.Site, web.View[SetupData]{Page: SetupPage(), Title: title, Data: data, Status: status})
}

// context binds the secret of the app to the link and so to this browser.
func (h *Handler) context(c echo.Context) string { return "setup.totp:" + secret.Hash(h.token(c)) }

func (h *Handler) picture(c echo.Context) error {
	totp, err := h.Keyring.Open(h.context(c), c.QueryParam("of"))
	if err != nil {
		return errs.New(errs.NotFound, "This QR code has expired. Open the page again to get a new one.")
	}
	png, err := mfa.QRCode(mfa.KeyURI(h.Site.RuntimeSettings().Brand, "recovery", string(totp)))
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "image/png", png)
}

// offerPasskey lets the page make a passkey.
func (h *Handler) offerPasskey(c echo.Context, data *SetupData) error {
	asked, err := h.Admin.BeginPasskeyRegistration()
	if err != nil || asked.Options == "" {
		return err
	}
	data.Passkey, data.Kept = asked.Options, h.Keyring.Seal(h.context(c), []byte(asked.Session))
	return nil
}

// choice reads the form.
func (h *Handler) choice(c echo.Context) (ops.NewAccount, error) {
	choice := ops.NewAccount{Login: strings.TrimSpace(c.FormValue("login"))}
	if answer := c.FormValue("response"); answer != "" {
		kept, err := h.Keyring.Open(h.context(c), c.FormValue("kept"))
		choice.Passkey = ops.PasskeyAnswer{Kept: string(kept), Answer: answer}
		return choice, err
	}
	totp, err := h.Keyring.Open(h.context(c), c.FormValue("sealed"))
	choice.Password, choice.Again, choice.TOTP, choice.Code = c.FormValue("password"), c.FormValue("again"), string(totp), c.FormValue("code")
	return choice, err
}

func (h *Handler) create(c echo.Context) error {
	choice, err := h.choice(c)
	if err != nil {
		return h.form(c, SetupData{}, http.StatusBadRequest)
	}
	user, err := h.Admin.CreateAccount(c.Request().Context(), h.token(c), c.RealIP(), choice)
	if faults, ok := errors.AsType[ops.AccountError](err); ok {
		return h.form(c, SetupData{Login: choice.Login, TOTP: choice.TOTP, Faults: faults}, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	h.setCookie(c, "", -time.Second)
	return h.begin(c, user, methods(choice.Passkey), "/admin?welcome=yes")
}

// methods returns the RFC 8176 values of an authentication.
func methods(p ops.PasskeyAnswer) []string {
	if p.Answer != "" {
		return []string{"hwk", "user", "mfa"}
	}
	return []string{"pwd", "otp", "mfa"}
}

func (h *Handler) begin(c echo.Context, user *store.User, methods []string, next string) error {
	_, err := h.Sessions.Begin(c.Response(), c.Request(), session.Authentication{User: user, Methods: methods, Address: c.RealIP()})
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path(next))
}

// keptContext is the context of encryption of a passkey challenge. A challenge is valid once, for ten minutes, so it
// is not bound to a browser.
const keptContext = "recover.passkey"

// RecoverData is the data of the recovery sign-in.
type RecoverData struct {
	Login, Error string
	// Passkey has the options for the browser to ask for a passkey. Kept comes back with the answer.
	Passkey, Kept string
}

// RecoverPage is the recovery sign-in.
func RecoverPage() templates.Page[RecoverData] { return templates.Define[RecoverData]("admin/recover") }

func (h *Handler) ask(c echo.Context) error { return h.askAgain(c, RecoverData{}, http.StatusOK) }

func (h *Handler) askAgain(c echo.Context, data RecoverData, status int) error {
	asked, err := h.Admin.BeginPasskeyLogin()
	if err != nil {
		return err
	}
	if asked.Options != "" {
		data.Passkey, data.Kept = asked.Options, h.Keyring.Seal(keptContext, []byte(asked.Session))
	}
	return web.Render(c, h.Site, web.View[RecoverData]{Page: RecoverPage(), Title: i18n.T("Recovery sign-in"), Data: data, Status: status})
}

func (h *Handler) signIn(c echo.Context) error {
	proof := ops.RecoveryProof{Login: strings.TrimSpace(c.FormValue("login")), Password: c.FormValue("password"), Code: c.FormValue("code")}
	if answer := c.FormValue("response"); answer != "" {
		kept, err := h.Keyring.Open(keptContext, c.FormValue("kept"))
		if err != nil {
			return h.askAgain(c, RecoverData{Error: "The answer came too late. Try again."}, http.StatusBadRequest)
		}
		proof.Passkey = ops.PasskeyAnswer{Kept: string(kept), Answer: answer}
	}
	user, err := h.Admin.Recover(c.Request().Context(), proof, c.RealIP())
	if errs.Is(err, errs.Unauthenticated) {
		return h.askAgain(c, RecoverData{Login: proof.Login, Error: errs.Message(err)}, http.StatusUnauthorized)
	}
	if err != nil {
		return err
	}
	return h.begin(c, user, methods(proof.Passkey), "/admin")
}

// InvitationData is the data of the page where a local user sets a password.
type InvitationData struct {
	Login                 string
	PassFault, AgainFault i18n.Text
	Least                 int
	Done                  bool
}

// InvitationPage is where a local user sets a password.
func InvitationPage() templates.Page[InvitationData] {
	return templates.Define[InvitationData]("login/invitation")
}

func (h *Handler) invitation(c echo.Context) error {
	return h.invite(c, InvitationData{}, http.StatusOK)
}

func (h *Handler) invite(c echo.Context, data InvitationData, status int) error {
	if !data.Done {
		login, err := h.Admin.Invitation(c.Request().Context(), c.Param("token"), c.RealIP())
		if err != nil {
			return err
		}
		data.Login, data.Least = login, ops.MinLocalPassword
	}
	return web.Render(c, h.Site, web.View[InvitationData]{Page: InvitationPage(), Title: i18n.T("Choose a password"), Data: data, Status: status})
}

func (h *Handler) accept(c echo.Context) error {
	err := h.Admin.AcceptInvitation(c.Request().Context(), c.Param("token"), c.FormValue("password"), c.FormValue("again"), c.RealIP())
	if faults, ok := errors.AsType[ops.AccountError](err); ok {
		return h.invite(c, InvitationData{PassFault: faults["password"], AgainFault: faults["again"]}, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	return h.invite(c, InvitationData{Done: true}, http.StatusOK)
}
