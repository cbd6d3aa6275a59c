package login

import (
	"context"
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// addPasskeyChallenge prepares the page for a user who has a passkey. The challenge travels in the sealed flow.
func (h *Handler) addPasskeyChallenge(c echo.Context, f *flow.Flow, user *store.User, data *SecondFactorData) error {
	factors, err := h.Store.Factors(c.Request().Context(), user.ID)
	if err != nil {
		return err
	}
	owner, rows := mfa.OwnerOf(user, factors)
	data.Code = len(rows) < len(factors) || f.SecondFactor.EnrolSecret != ""
	if len(rows) == 0 || h.Passkeys == nil {
		data.Code = true
		return nil
	}
	asked, err := h.Passkeys.BeginLogin(owner)
	if err != nil {
		return err
	}
	f.SecondFactor.PasskeySession, data.Passkey = asked.Session, asked.Options
	data.Flow, err = h.Flows.Seal(c.Response(), c.Request(), f)
	return err
}

// checkPasskey verifies a passkey response. Each challenge accepts one response.
func (h *Handler) checkPasskey(ctx context.Context, half *flow.SecondFactor, answer string) (bool, error) {
	if half.PasskeySession == "" || h.Passkeys == nil {
		return false, nil
	}
	user, err := h.Store.User(ctx, half.UserID)
	if err != nil {
		return false, err
	}
	factors, err := h.Store.Factors(ctx, half.UserID)
	if err != nil {
		return false, err
	}
	owner, rows := mfa.OwnerOf(user, factors)
	used, err := h.Passkeys.FinishLogin(owner, half.PasskeySession, answer)
	if errors.Is(err, mfa.ErrPasskey) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return used.Consume(ctx, h.Limit, rows[used.Index])
}
