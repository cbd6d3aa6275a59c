package token

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// deviceCode handles a poll of a device (RFC 8628 section 3.4).
func (h *Handler) deviceCode(ctx context.Context, req *request) ([]byte, error) {
	row, err := h.Store.DeviceCode(ctx, req.params["device_code"])
	if errs.Is(err, errs.NotFound) || err == nil && row.ClientID != req.client.ID {
		return nil, oauth.Errorf(oauth.InvalidGrant, "This server does not know the device code. Start the sign-in again.").WithReason("unknown_code")
	}
	if err != nil {
		return nil, err
	}
	req.event.UserID, req.event.SignInID, req.event.DeviceID = row.UserID, row.SignInID, row.DeviceID
	if row.Used != 0 {
		return nil, h.revokeReplayed(ctx, row.UserID, row.DeviceID, row.AccessHash, req)
	}
	if err := h.checkPending(ctx, row); err != nil {
		return nil, err
	}
	user, err := h.authorizeUser(ctx, row.UserID, req.client.Cluster, req)
	if err != nil {
		return nil, err
	}
	return h.redeem(ctx, authorization{
		hash: row.Hash, user: user, signIn: row.SignInID, scopes: row.Scopes, amr: row.AMR, authenticated: row.Authenticated,
		host: row.Host, redeem: h.Store.RedeemDeviceCode,
	}, req)
}

// checkPending returns the error for a request that is pending, denied, used or expired.
func (h *Handler) checkPending(ctx context.Context, row *store.DeviceCode) error {
	early, err := h.Store.PollDeviceCode(ctx, row.Hash, h.Now())
	switch {
	case err != nil:
		return err
	case row.Denied != 0:
		return oauth.Errorf(oauth.AccessDenied, "The user denied the request. Start again if this was a mistake.").WithReason("person_said_no")
	case row.Expires.Passed(h.Now()):
		return oauth.Errorf(oauth.ExpiredToken, "The device code has expired. Start the sign-in again.").WithReason("expired")
	case early:
		return oauth.Errorf(oauth.SlowDown, "The client polls too often. Wait five seconds longer before each request.")
	case row.Approved == 0:
		return oauth.Errorf(oauth.AuthorizationPending, "The user has not answered yet. Wait, then poll again.")
	}
	return nil
}

// revokeReplayed revokes the tokens of a code or device code that is presented a second time.
func (h *Handler) revokeReplayed(ctx context.Context, userID, deviceID, accessHash string, req *request) error {
	if err := h.Store.RevokeIssued(ctx, userID, deviceID, accessHash, h.Now()); err != nil {
		return err
	}
	event := req.event
	event.Name, event.Reason = audit.TokenReplayed, store.RevokedCodeReplay
	h.Audit.Record(ctx, event)
	return errInvalidCode().WithReason("code_replayed")
}
