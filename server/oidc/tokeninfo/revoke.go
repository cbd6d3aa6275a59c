package tokeninfo

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// revoke revokes a token with its whole device (RFC 7009). The response is the same for an unknown token.
func (h *Handler) revoke(c echo.Context) error {
	if err := h.revokeToken(c); err != nil {
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	return c.NoContent(http.StatusOK)
}

func (h *Handler) revokeToken(c echo.Context) error {
	client, params, err := h.authenticateClient(c)
	if err != nil {
		return err
	}
	ctx, token := c.Request().Context(), params["token"]
	found, err := h.revokeRefresh(ctx, client, token)
	if err != nil || found {
		return err
	}
	row, err := h.Store.AccessToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil || row.ClientID != client.ID {
		return err
	}
	if row.DeviceID != "" { // the whole grant ends, see RFC 7009 section 2.1
		return h.revokeDevice(ctx, client, row.UserID, row.DeviceID)
	}
	if revoked, err := h.Store.RevokeAccessToken(ctx, secret.Hash(token), h.Now()); err != nil || !revoked {
		return err
	}
	h.Audit.Record(ctx, audit.Event{
		Name: audit.TokenRevoked, UserID: row.UserID, SignInID: row.SignInID, ClientID: client.ID, Address: c.RealIP(), Reason: store.RevokedByClient,
	})
	return nil
}

func (h *Handler) revokeRefresh(ctx context.Context, client *clients.Client, token string) (bool, error) {
	_, device, err := h.Store.RefreshToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	if err != nil || device.ClientID != client.ID {
		return true, err
	}
	return true, h.revokeDevice(ctx, client, device.UserID, device.ID)
}

func (h *Handler) revokeDevice(ctx context.Context, client *clients.Client, userID, deviceID string) error {
	_, err := h.Store.End(ctx, store.Ending{
		Scope: store.EndDevice, UserID: userID, ID: deviceID, Reason: store.RevokedByClient, Log: h.Audit,
		Event: audit.Event{Name: audit.DeviceRevoked, UserID: userID, DeviceID: deviceID, ClientID: client.ID, Reason: store.RevokedByClient},
	}, h.Now())
	return err
}
