package login

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/templates"
)

// SecondFactorData is the data of SecondFactorPage.
type SecondFactorData struct {
	User, Flow string
	Error      i18n.Text
	// TOTP and Picture are set when the user has no factor yet and must set one up.
	TOTP, Picture string
	Action        string
	// Passkey holds the WebAuthn options for the browser. Code reports that the user can enter a code instead.
	Passkey string
	Code    bool
}

// SecondFactorPage asks for a second factor, or sets one up.
func SecondFactorPage() templates.Page[SecondFactorData] {
	return templates.Define[SecondFactorData]("login/second")
}

// needsSecondFactor reports whether the user has a second factor, or the connector requires one.
func (h *Handler) needsSecondFactor(ctx context.Context, row *store.Connector, user *store.User) (bool, error) {
	if row.SecondFactor {
		return true, nil
	}
	factors, err := h.Store.Factors(ctx, user.ID)
	return len(factors) > 0, err
}

// startSecondFactor sends the browser to the second factor. The user's id travels in the sealed flow, because there
// is no session yet.
func (h *Handler) startSecondFactor(c echo.Context, row *store.Connector, user *store.User, methods []string, f *flow.Flow) error {
	half := *f
	half.Upstream = nil
	half.SecondFactor = &flow.SecondFactor{UserID: user.ID, ConnectorID: row.ID, Methods: methods}
	factors, err := h.Store.Factors(c.Request().Context(), user.ID)
	if err != nil {
		return err
	}
	if len(factors) == 0 {
		half.SecondFactor.EnrolSecret = mfa.NewTOTPSecret()
	}
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), &half)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/login/second")+"?flow="+url.QueryEscape(sealed))
}

// openSecondFactor opens the flow of a user who has passed the first factor.
func (h *Handler) openSecondFactor(c echo.Context, sealed string) (*flow.Flow, *store.User, error) {
	f, err := h.Flows.Open(c.Request(), sealed)
	if err != nil {
		return nil, nil, err
	}
	if f.SecondFactor == nil {
		return nil, nil, flow.ErrInvalid
	}
	user, err := h.Store.User(c.Request().Context(), f.SecondFactor.UserID)
	if err == nil && user.Disabled {
		err = errs.New(errs.Denied, "The account %s is disabled. Ask an admin to enable it.", user.KubeName)
	}
	return f, user, err
}

func (h *Handler) showSecondFactor(c echo.Context) error {
	return h.renderSecondFactor(c, c.QueryParam("flow"), i18n.Text{})
}

func (h *Handler) renderSecondFactor(c echo.Context, sealed string, fault i18n.Text) error {
	f, user, err := h.openSecondFactor(c, sealed)
	if err != nil {
		return err
	}
	data := SecondFactorData{User: user.Label(), Flow: sealed, Error: fault, TOTP: f.SecondFactor.EnrolSecret, Action: h.Site.Path("/login/second")}
	title := i18n.T("Second factor")
	if err := h.addPasskeyChallenge(c, f, user, &data); err != nil {
		return err
	}
	if f.SecondFactor.EnrolSecret != "" {
		data.Picture = h.Site.Path("/login/second/code.png") + "?flow=" + url.QueryEscape(sealed)
		title = i18n.T("Set up a second factor")
	}
	view := web.View[SecondFactorData]{Page: SecondFactorPage(), Title: title, Data: data}
	if f.Request != nil {
		view.FormOrigin = clients.RedirectOrigin(f.Request.RedirectURI)
	}
	if !fault.IsZero() {
		view.Status = http.StatusUnauthorized
	}
	return web.Render(c, h.Site, view)
}

func (h *Handler) secondFactorQRCode(c echo.Context) error {
	f, user, err := h.openSecondFactor(c, c.QueryParam("flow"))
	if err != nil {
		return err
	}
	if f.SecondFactor.EnrolSecret == "" {
		return errs.New(errs.NotFound, "There is no second factor to set up. Start the sign-in again.")
	}
	png, err := mfa.QRCode(mfa.KeyURI(h.Site.RuntimeSettings().Brand, user.KubeName, f.SecondFactor.EnrolSecret))
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "image/png", png)
}

// recordSecondFactorFailure records why a user failed the second factor.
func (h *Handler) recordSecondFactorFailure(c echo.Context, f *flow.Flow, user *store.User, why string) {
	h.Audit.Record(c.Request().Context(), audit.Event{
		Name: audit.SignInFailed, UserID: user.ID, UserName: user.KubeName, ConnectorID: f.SecondFactor.ConnectorID, Address: c.RealIP(), Reason: why,
	})
}

// submitSecondFactor handles the code form.
func (h *Handler) submitSecondFactor(c echo.Context) error {
	ctx, sealed := c.Request().Context(), c.FormValue("flow")
	f, user, err := h.openSecondFactor(c, sealed)
	if err != nil {
		return err
	}
	attempt := ratelimit.SecondFactor(user.ID, c.RealIP())
	verdict, err := h.Limit.Attempt(ctx, attempt)
	if err != nil {
		return err
	}
	if verdict.Wait > 0 {
		if !verdict.Repeated {
			h.recordSecondFactorFailure(c, f, user, "too_many_failures")
		}
		return h.renderSecondFactor(c, sealed, i18n.T("Too many wrong codes. Try again in %s.", verdict.Wait))
	}
	var good bool
	method := "otp"
	if answer := c.FormValue("response"); answer != "" {
		method = "hwk"
		good, err = h.checkPasskey(ctx, f.SecondFactor, answer)
	} else {
		good, err = h.checkCode(ctx, f.SecondFactor, c.FormValue("code"), c.RealIP())
	}
	if err != nil {
		return err
	}
	if !good {
		h.recordSecondFactorFailure(c, f, user, "second_factor")
		return h.renderSecondFactor(c, sealed, i18n.T("The code or passkey is not valid. A code works once, and only while the app shows it. Try again."))
	}
	if err := h.Limit.Undo(ctx, attempt); err != nil {
		return err
	}
	row, err := h.Store.Connector(ctx, f.SecondFactor.ConnectorID)
	if err != nil {
		return err
	}
	methods := append(f.SecondFactor.Methods, method, "mfa")
	f.SecondFactor = nil
	return h.beginSession(c, row, authenticated{user: user, methods: methods}, f)
}

// checkCode verifies a code with the user's factor, or with the one that they are setting up, and marks the code as
// used.
func (h *Handler) checkCode(ctx context.Context, half *flow.SecondFactor, code, address string) (bool, error) {
	now := h.Now()
	factors, err := h.Store.Factors(ctx, half.UserID)
	if err != nil {
		return false, err
	}
	// If the user has set up a factor in another tab meanwhile, this tab must not add a second one.
	if half.EnrolSecret != "" && len(factors) == 0 {
		step, ok := mfa.CheckCode(half.EnrolSecret, code, now)
		if !ok {
			return false, nil
		}
		h.Audit.Record(ctx, audit.Event{Name: audit.FactorChanged, UserID: half.UserID, ConnectorID: half.ConnectorID, Address: address, Reason: "added"})
		return true, h.Store.AddFactor(ctx, store.Factor{
			Owner: half.UserID, Kind: store.FactorTOTP, Label: "Authenticator app", Data: half.EnrolSecret, LastStep: step, Created: store.At(now), LastUsed: store.At(now),
		})
	}
	for _, f := range factors {
		step, ok := mfa.CheckCode(f.Data, code, now)
		if f.Kind != store.FactorTOTP || !ok {
			continue
		}
		if first, err := h.Store.ConsumeFactorStep(ctx, f.ID, step, now); err != nil || first {
			return first, err
		}
	}
	return false, nil
}
