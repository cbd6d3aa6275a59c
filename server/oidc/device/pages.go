package device

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// CodeData is the data of CodePage.
type CodeData struct {
	Code  string
	Error i18n.Text
}

// ConfirmData is the data of ConfirmPage.
type ConfirmData struct {
	Client, Host, Address, Code, Account, Flow string
	May                                        i18n.Text
	Lasting                                    time.Duration
	Asked                                      store.Instant
}

// DoneData is the data of DonePage.
type DoneData struct {
	Client string
	Yes    bool
}

// CodePage asks for the user code.
func CodePage() templates.Page[CodeData] { return templates.Define[CodeData]("login/device") }

// ConfirmPage asks whether the user has started the sign-in on the device.
func ConfirmPage() templates.Page[ConfirmData] {
	return templates.Define[ConfirmData]("login/deviceask")
}

// DonePage says that the user can return to the device.
func DonePage() templates.Page[DoneData] { return templates.Define[DoneData]("login/devicedone") }

// maxUserCodeBytes bounds the user code, in bytes.
const maxUserCodeBytes = 32

// showCodeForm shows the form. A code in the URL only fills it in, so that following an attacker's link is not
// enough to approve a device (RFC 8628 section 3.3.1).
func (h *Handler) showCodeForm(c echo.Context) error {
	return h.renderCodeForm(c, CodeData{Code: dropIfTooLong(c.QueryParam("user_code"))}, http.StatusOK)
}

func dropIfTooLong(s string) string {
	if len(s) > maxUserCodeBytes {
		return ""
	}
	return s
}

func (h *Handler) renderCodeForm(c echo.Context, data CodeData, status int) error {
	return web.Render(c, h.Site, web.View[CodeData]{Page: CodePage(), Title: i18n.T("Sign in a device"), Data: data, Status: status})
}

// submitCode handles the form. The user must sign in before the code is looked up, so that only known users can
// guess codes.
func (h *Handler) submitCode(c echo.Context) error {
	code := dropIfTooLong(c.FormValue("user_code"))
	if code == "" {
		return h.renderCodeForm(c, CodeData{Error: i18n.T("Enter the code that your terminal shows, such as BCDF-GHJK.")}, http.StatusBadRequest)
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), &flow.Flow{UserCode: code})
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path(Path+"/ask")+"?flow="+url.QueryEscape(sealed))
}

// pendingRequest is a request that waits for this user's answer.
type pendingRequest struct {
	row     *store.DeviceCode
	client  *clients.Client
	current *session.Current
}

// signIn sends the browser to sign in and back to the same URL.
func (h *Handler) signIn(c echo.Context) error {
	back := Path + "/ask?flow=" + url.QueryEscape(c.QueryParam("flow"))
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/login")+"?return_to="+url.QueryEscape(back))
}

// load finds the request of a flow. A wrong code counts as an attempt.
func (h *Handler) load(c echo.Context, userCode string, current *session.Current) (*pendingRequest, error) {
	ctx := c.Request().Context()
	tries := ratelimit.UserCode(current.User.ID, c.RealIP())
	verdict, err := h.Limit.Attempt(ctx, tries)
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		if !verdict.Repeated {
			h.recordRefusal(c, current, "", "too_many_failures")
		}
		return nil, errs.New(errs.Denied, "Too many wrong codes. Try again in %s.", h.Limit.Window)
	}
	row, err := h.Store.DeviceCodeByUserCode(ctx, hashUserCode(userCode))
	if errs.Is(err, errs.NotFound) || err == nil && !row.Open(h.Now()) {
		return nil, errUnknownCode()
	}
	if err != nil {
		return nil, err
	}
	if err := h.Limit.Undo(ctx, tries); err != nil {
		return nil, err
	}
	client, err := h.Clients.Find(ctx, row.ClientID)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.Wrap(errs.NotFound, err, "The cluster or application was removed during the sign-in. Choose another one, or ask an admin.")
	}
	return &pendingRequest{row: row, client: client, current: current}, err
}

// confirm shows which device asks, from where, and for what. The flow proves that this browser has submitted the
// code form.
func (h *Handler) confirm(c echo.Context) error {
	f, err := h.Flows.Open(c.Request(), c.QueryParam("flow"))
	if err != nil {
		return err
	}
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil {
		return h.signIn(c)
	}
	w, err := h.load(c, f.UserCode, current)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) {
		return h.renderCodeForm(c, CodeData{Code: f.UserCode, Error: errs.Text(err)}, http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	data := ConfirmData{
		Client: w.client.Name, Host: w.row.Host, Address: w.row.Address, Code: f.UserCode, Account: current.User.Label() + " (" + current.User.KubeName + ")",
		May: w.client.Permission(w.client.Asks(w.row.Scopes)), Flow: c.QueryParam("flow"), Asked: w.row.Created,
	}
	if slices.Contains(w.row.Scopes, oauth.ScopeOfflineAccess) {
		data.Lasting = h.Sessions.RuntimeSettings.Get().AbsoluteTimeout
	}
	return web.Render(c, h.Site, web.View[ConfirmData]{Page: ConfirmPage(), Title: i18n.T("Did you start this sign-in?"), Data: data})
}

// submitAnswer handles the approval or denial.
func (h *Handler) submitAnswer(c echo.Context) error {
	f, err := h.Flows.Open(c.Request(), c.FormValue("flow"))
	if err != nil {
		return err
	}
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current == nil || f.UserCode == "" {
		return flow.ErrInvalid
	}
	w, err := h.load(c, f.UserCode, current)
	if err != nil {
		return err
	}
	yes := c.FormValue("answer") == "yes"
	if err := h.recordAnswer(c, w, yes); err != nil {
		return err
	}
	return web.Render(c, h.Site, web.View[DoneData]{Page: DonePage(), Title: i18n.T("Done"), Data: DoneData{Client: w.client.Name, Yes: yes}})
}

func (h *Handler) recordAnswer(c echo.Context, w *pendingRequest, yes bool) error {
	ctx, user, signIn := c.Request().Context(), w.current.User, w.current.SignIn
	if !yes {
		err := firstAnswerOnly(h.Store.DenyDeviceCode(ctx, w.row.Hash, user.ID, h.Now()))
		if err == nil {
			h.recordRefusal(c, w.current, w.client.ID, "person_said_no")
		}
		return err
	}
	event := audit.Event{
		Name: audit.AuthorizationGranted, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		SignInID: signIn.ID, ClientID: w.client.ID, Address: c.RealIP(), Reason: "device_code", Detail: w.row.Address + " " + w.row.Host,
	}
	if w.client.Cluster != nil {
		if _, err := h.Access.Authorize(ctx, user, w.client.Cluster, event); err != nil {
			return err
		}
	}
	err := firstAnswerOnly(h.Store.ApproveDeviceCode(ctx, w.row.Hash, store.Approval{
		UserID: user.ID, SignInID: signIn.ID, AMR: signIn.AMR, Authenticated: signIn.Authenticated,
	}, h.Now()))
	if err == nil {
		h.Audit.Record(ctx, event)
	}
	if err != nil || w.client.Public {
		return err
	}
	return h.Store.GrantConsent(ctx, user.ID, w.client.ID, w.client.Asks(w.row.Scopes), h.Now())
}

// firstAnswerOnly returns an error if the request was already answered.
func firstAnswerOnly(first bool, err error) error {
	if err == nil && !first {
		return errUnknownCode()
	}
	return err
}
