package login

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// errPasskey is the same for an unknown passkey and for a wrong answer: a caller who guesses learns nothing.
var errPasskey = errs.New(errs.Unauthenticated, "The passkey was not accepted: it does not sign in to an account here, or its answer came too late. Try again, or use your user name and password.")

// offerPasskey lets the password page ask for a passkey that signs in by itself. Only local users can use one:
// an upstream decides by itself how its users sign in, so there a passkey is a second factor only.
func (h *Handler) offerPasskey(c echo.Context, f passwordForm, data *PasswordData) error {
	if h.Passkeys == nil || !f.row.IsLocal() {
		return nil
	}
	any, err := h.Store.HasPasskeys(c.Request().Context(), f.row.ID)
	if err != nil || !any {
		return err
	}
	asked, err := h.Passkeys.BeginDiscoverableLogin()
	if err != nil {
		return err
	}
	withChallenge := *f.flow
	withChallenge.PasskeySession = asked.Session
	data.Passkey = asked.Options
	data.PasskeyFlow, err = h.Flows.Seal(c.Response(), c.Request(), &withChallenge)
	return err
}

// submitPasskey signs a local user in with a passkey alone. The device has checked the user, so the passkey
// counts as two factors.
func (h *Handler) submitPasskey(c echo.Context) error {
	f, err := h.Flows.Open(c.Request(), c.FormValue("flow"))
	if err != nil {
		return err
	}
	row, opened, err := h.connector(c)
	if err != nil {
		return err
	}
	if f.PasskeySession == "" || h.Passkeys == nil || !row.IsLocal() {
		return flow.ErrInvalid
	}
	name, person := "", store.ResolvedIdentity{}
	user, err := h.checkPasskeyAlone(c, row, f)
	if err == nil {
		name = user.KubeName
		person, err = h.Upstream.Refresh(c.Request().Context(), row, user)
	}
	if err != nil {
		h.recordFailure(c, row, name, err)
		f.PasskeySession = ""
		return h.showPasswordForm(c, passwordForm{row: row, opened: opened, flow: f, problem: err})
	}
	return h.finishFirstFactor(c, row, firstFactor{person: person, methods: []string{"hwk", "user", "mfa"}, complete: true}, f)
}

// checkPasskeyAlone returns the user whose passkey answered. It counts the attempts that fail.
func (h *Handler) checkPasskeyAlone(c echo.Context, row *store.Connector, f *flow.Flow) (*store.User, error) {
	ctx := c.Request().Context()
	attempt := ratelimit.Passkey(c.RealIP())
	verdict, err := h.Limit.Attempt(ctx, attempt)
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(verdict.Wait.Seconds())+1))
		return nil, errs.Wrap(errs.Unauthenticated, tooMany(verdict.Repeated), "Too many passkeys were refused. Try again in %s.", verdict.Wait.Truncate(time.Minute)+time.Minute)
	}
	user, err := h.passkeyUser(ctx, row, f.PasskeySession, c.FormValue("response"))
	if err != nil {
		return nil, err
	}
	return user, h.Limit.Undo(ctx, attempt)
}

// passkeyUser returns the user whose passkey answered, and uses the answer up.
func (h *Handler) passkeyUser(ctx context.Context, row *store.Connector, session, answer string) (*store.User, error) {
	var user *store.User
	var rows []store.Factor
	used, err := h.Passkeys.FinishUserLogin(func(id string) (owner mfa.Owner, err error) {
		user, err = h.Store.User(ctx, id)
		if errs.Is(err, errs.NotFound) || err == nil && user.ConnectorID != row.ID {
			return mfa.Owner{}, mfa.ErrPasskey
		}
		if err != nil {
			return mfa.Owner{}, err
		}
		factors, err := h.Store.Factors(ctx, id)
		owner, rows = mfa.OwnerOf(user, factors)
		return owner, err
	}, session, answer)
	if errors.Is(err, mfa.ErrPasskey) {
		return nil, errPasskey
	}
	if err != nil {
		return nil, err
	}
	first, err := used.Consume(ctx, h.Limit, rows[used.Index])
	if err == nil && !first {
		err = errPasskey
	}
	return user, err
}
