package login

import (
	"context"
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// offerPasskey lets the page ask for a passkey, when the person has one. What the
// answer is checked with goes into the sealed flow.
func (h *Handler) offerPasskey(c echo.Context, f *flow.Flow, user *store.User, data *SecondData) error {
	factors, err := h.Store.Factors(c.Request().Context(), user.ID)
	if err != nil {
		return err
	}
	owner, rows := mfa.OwnerOf(user, factors)
	data.Code = len(rows) < len(factors) || f.Half.Enrol != ""
	if len(rows) == 0 || h.Passkeys == nil {
		data.Code = true
		return nil
	}
	asked, err := h.Passkeys.Ask(owner)
	if err != nil {
		return err
	}
	f.Half.Passkey, data.Passkey = asked.Kept, asked.Options
	data.Flow, err = h.Flows.Seal(c.Response(), c.Request(), f)
	return err
}

// takePasskey checks an answer by passkey. Each challenge is good for one answer.
func (h *Handler) takePasskey(ctx context.Context, half *flow.Half, answer string) (bool, error) {
	if half.Passkey == "" || h.Passkeys == nil {
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
	used, err := h.Passkeys.Answered(owner, half.Passkey, answer)
	if errors.Is(err, mfa.ErrPasskey) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return used.Spend(ctx, h.Limit, rows[used.Index])
}
