package token

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
)

// errInvalidSetupCode is the same for unknown, used and expired setup codes.
func errInvalidSetupCode() *oauth.Error {
	return oauth.Errorf(oauth.InvalidGrant, "The setup code was used before, is older than five minutes, or its browser has signed out. Copy a new one from the portal.")
}

// setupCode signs in a computer with a code that the user copied from a page. Anyone who has the code can use it,
// so a second use revokes the tokens of the first: one of the two callers was not the user.
func (h *Handler) setupCode(ctx context.Context, req *request) ([]byte, error) {
	row, err := h.Store.Code(ctx, req.params["code"])
	if errs.Is(err, errs.NotFound) || err == nil && (!setupcode.IsSetupCode(row) || req.client.ID != clients.PluginID) {
		return nil, errInvalidSetupCode()
	}
	if err != nil {
		return nil, err
	}
	req.event.UserID, req.event.SignInID, req.event.DeviceID = row.UserID, row.SignInID, row.DeviceID
	if row.Used != 0 {
		return nil, h.revokeReplayed(ctx, row.UserID, row.DeviceID, row.AccessHash, req)
	}
	if row.Expires.Passed(h.Now()) {
		return nil, errInvalidSetupCode().WithReason("expired")
	}
	user, err := h.authorizeUser(ctx, row.UserID, nil, req)
	if err != nil {
		return nil, err
	}
	return h.redeem(ctx, authorization{
		hash: row.Hash, user: user, signIn: row.SignInID, scopes: row.Scopes, amr: row.AMR, authenticated: row.Authenticated,
		host: oauth.ClientHost(req.params), redeem: h.Store.RedeemCode,
	}, req)
}
