package tokeninfo

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

// revoke ends a token (RFC 7009). A refresh token takes its whole device with
// it. A token that is not known is answered like one that was ended.
func (h *Handler) revoke(c echo.Context) error {
	if err := h.revokeToken(c); err != nil {
		oauth.From(err).Write(c.Response())
		return nil
	}
	return c.NoContent(http.StatusOK)
}

func (h *Handler) revokeToken(c echo.Context) error {
	params, err := oauth.Form(c.Response(), c.Request())
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	client, err := h.Authenticate(ctx, h.Clients, c.Request(), params)
	if err != nil {
		return err
	}
	token := params["token"]
	if token == "" {
		return oauth.Errorf(oauth.InvalidRequest, "The token is missing.")
	}
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
	return h.Store.RevokeAccessToken(ctx, secret.Hash(token), h.Now())
}

func (h *Handler) revokeRefresh(ctx context.Context, client *clients.Client, token string) (bool, error) {
	_, device, err := h.Store.RefreshToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	if err != nil || device.ClientID != client.ID {
		return true, err
	}
	revoked, err := h.Store.RevokeDevice(ctx, device.UserID, device.ID, store.RevokedByClient, h.Now())
	if err != nil {
		return true, err
	}
	if revoked {
		h.Audit.Record(ctx, audit.Event{
			Name: audit.DeviceRevoked, UserID: device.UserID, DeviceID: device.ID, ClientID: client.ID, Reason: store.RevokedByClient,
		})
	}
	return true, nil
}
