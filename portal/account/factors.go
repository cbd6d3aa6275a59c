package account

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// sealContext binds the secret of an app that is being set up to the user.
func sealContext(userID string) string { return "account.totp:" + userID }

// factors adds the user's second factors, and one that is being set up.
func (h *Handler) factors(c echo.Context, current *session.Current, data *Data) error {
	rows, err := h.Store.Factors(c.Request().Context(), current.User.ID)
	if err != nil {
		return err
	}
	for _, f := range rows {
		data.Factors = append(data.Factors, Factor{ID: f.ID, Label: factorLabel(f), Since: f.Created.Time(), LastUse: f.LastUsed.Time()})
	}
	if err := h.offerPasskey(c.Request().Context(), current, rows, data); err != nil {
		return err
	}
	if c.QueryParam("factor") != "" && data.Enrol == "" {
		data.Enrol = mfa.NewTOTPSecret()
	}
	if data.Enrol != "" {
		data.Sealed = h.Keyring.Seal(sealContext(current.User.ID), []byte(data.Enrol))
		data.Picture = h.Site.Path("/account/factors/code.png") + "?of=" + data.Sealed
	}
	return nil
}

// passkeyPrefix begins the labels of passkeys, as they are stored.
const passkeyPrefix = "Passkey, "

// factorLabel names a factor in the reader's language.
func factorLabel(f store.Factor) i18n.Text {
	if where, isPasskey := strings.CutPrefix(f.Label, passkeyPrefix); isPasskey {
		return i18n.T("Passkey, %s", where)
	}
	return i18n.T("Authenticator app")
}

func (h *Handler) factorPicture(c echo.Context, current *session.Current) error {
	totp, err := h.Keyring.Open(sealContext(current.User.ID), c.QueryParam("of"))
	if err != nil {
		return errs.New(errs.NotFound, "This QR code has expired. Open the page again to get a new one.")
	}
	png, err := mfa.QRCode(mfa.KeyURI(h.Site.RuntimeSettings().Brand, current.User.KubeName, string(totp)))
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "image/png", png)
}

// addFactor adds an authenticator app after the user has entered a valid code of it.
func (h *Handler) addFactor(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	totp, err := h.Keyring.Open(sealContext(current.User.ID), c.FormValue("sealed"))
	if err != nil {
		return errs.New(errs.Invalid, "The setup took too long. Start it again.")
	}
	attempt := ratelimit.SecondFactor(current.User.ID, c.RealIP())
	verdict, err := h.Limit.Attempt(ctx, attempt)
	if err != nil {
		return err
	}
	if verdict.Wait > 0 {
		if !verdict.Repeated {
			h.recordFactor(c, current, audit.FactorRefused, "too_many_failures")
		}
		return h.page(c, current, Data{Enrol: string(totp), Fault: i18n.T("Too many wrong codes. Try again in %s.", verdict.Wait)}, http.StatusUnprocessableEntity)
	}
	step, ok := mfa.CheckCode(string(totp), c.FormValue("code"), h.Now())
	if !ok {
		return h.page(c, current, Data{Enrol: string(totp), Fault: i18n.T("The code is wrong. Enter the code that the app shows now.")}, http.StatusUnprocessableEntity)
	}
	now := store.At(h.Now())
	err = h.Store.AddFactor(ctx, store.Factor{Owner: current.User.ID, Kind: store.FactorTOTP, Label: "Authenticator app", Data: string(totp), LastStep: step, Created: now, LastUsed: now})
	if err := errors.Join(err, h.Limit.Undo(ctx, attempt)); err != nil {
		return err
	}
	h.recordFactor(c, current, audit.FactorChanged, "added")
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/account"))
}

// removeFactor removes a factor. It keeps the last one if the connector requires a second factor.
func (h *Handler) removeFactor(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	rows, err := h.Store.Factors(ctx, current.User.ID)
	if err != nil {
		return err
	}
	connector, err := h.Store.Connector(ctx, current.User.ConnectorID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if connector != nil && connector.SecondFactor && len(rows) <= 1 {
		h.recordFactor(c, current, audit.FactorRefused, "last")
		return h.page(c, current, Data{Fault: i18n.T("Not removed: your sign-in requires a second factor. Add another one first.")}, http.StatusForbidden)
	}
	err = h.Store.RemoveFactor(ctx, current.User.ID, c.Param("id"))
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if err == nil {
		h.recordFactor(c, current, audit.FactorChanged, "removed")
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/account"))
}

func (h *Handler) recordFactor(c echo.Context, current *session.Current, name audit.Name, what string) {
	h.Audit.Record(c.Request().Context(), audit.Event{
		Name: name, UserID: current.User.ID, UserName: current.User.KubeName, SignInID: current.SignIn.ID, Address: c.RealIP(), Reason: what,
	})
}

// passkeyContext binds the challenge for a new passkey to the user.
func passkeyContext(userID string) string { return "account.passkey:" + userID }

// offerPasskey lets the page register a passkey.
func (h *Handler) offerPasskey(ctx context.Context, current *session.Current, rows []store.Factor, data *Data) error {
	if h.Passkeys == nil {
		return nil
	}
	connector, err := h.Store.Connector(ctx, current.User.ConnectorID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	owner, _ := mfa.OwnerOf(current.User, rows)
	owner.Discoverable = connector != nil && connector.IsLocal()
	asked, err := h.Passkeys.BeginRegistration(owner)
	if err != nil {
		return err
	}
	data.Passkey, data.PasskeyAlone = asked.Options, owner.Discoverable
	data.Kept = h.Keyring.Seal(passkeyContext(current.User.ID), []byte(asked.Session))
	return nil
}

// addPasskey adds a passkey that the browser created.
func (h *Handler) addPasskey(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	kept, err := h.Keyring.Open(passkeyContext(current.User.ID), c.FormValue("kept"))
	if err != nil || h.Passkeys == nil {
		return errs.New(errs.Invalid, "The setup took too long. Start it again.")
	}
	rows, err := h.Store.Factors(ctx, current.User.ID)
	if err != nil {
		return err
	}
	owner, _ := mfa.OwnerOf(current.User, rows)
	key, err := h.Passkeys.FinishRegistration(owner, string(kept), c.FormValue("response"))
	if errors.Is(err, mfa.ErrPasskey) {
		return h.page(c, current, Data{Fault: i18n.T("The passkey was not added, because the answer of the browser was not valid. Try again.")}, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	now := store.At(h.Now())
	label := passkeyPrefix + page.BrowserName(c.Request().UserAgent()).String()
	if err := h.Store.AddFactor(ctx, store.Factor{Owner: current.User.ID, Kind: store.FactorPasskey, Label: label, Data: string(key), Created: now, LastUsed: now}); err != nil {
		return err
	}
	h.recordFactor(c, current, audit.FactorChanged, "passkey added")
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/account"))
}
