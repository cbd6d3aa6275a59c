package tokeninfo

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// introspection is the response of RFC 7662 section 2.2.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expiry    int64  `json:"exp,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	SignIn    string `json:"sid,omitempty"`
}

// introspect describes a token to the confidential client that owns it. Every other token is inactive, so that a
// client learns nothing about tokens of others (RFC 7662 section 4).
func (h *Handler) introspect(c echo.Context) error {
	answer, err := h.introspectToken(c)
	if err != nil {
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	oauth.WriteJSON(c.Response(), http.StatusOK, answer)
	return nil
}

func (h *Handler) introspectToken(c echo.Context) (*introspection, error) {
	client, params, err := h.authenticateClient(c)
	if err != nil {
		return nil, err
	}
	if client.Public {
		return nil, oauth.Errorf(oauth.InvalidClient, "A public client can't use introspection. Use a client with a secret or a key.")
	}
	ctx := c.Request().Context()
	answer, err := h.introspectAccessToken(ctx, client, params["token"])
	if err != nil || answer.Active {
		return answer, err
	}
	return h.introspectRefreshToken(ctx, client, params["token"])
}

func (h *Handler) introspectAccessToken(ctx context.Context, client *clients.Client, token string) (*introspection, error) {
	row, err := h.Store.AccessToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return &introspection{}, nil
	}
	if err != nil {
		return nil, err
	}
	if row.ClientID != client.ID || !row.Active(h.Now()) {
		return &introspection{}, nil
	}
	return h.activeResponse(ctx, row.UserID, introspection{
		Scope: strings.Join(row.Scopes, " "), ClientID: row.ClientID, TokenType: "Bearer", Expiry: row.Expires.Time().Unix(), SignIn: row.SignInID,
	})
}

func (h *Handler) introspectRefreshToken(ctx context.Context, client *clients.Client, token string) (*introspection, error) {
	row, device, err := h.Store.RefreshToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return &introspection{}, nil
	}
	if err != nil {
		return nil, err
	}
	if device.ClientID != client.ID || !device.Active(h.Now()) || row.Used != 0 {
		return &introspection{}, nil
	}
	return h.activeResponse(ctx, device.UserID, introspection{
		Scope: strings.Join(device.Scopes, " "), ClientID: device.ClientID, Expiry: deviceExpiry(device).Time().Unix(), SignIn: device.SignInID,
	})
}

// deviceExpiry returns when an unused device ends.
func deviceExpiry(d *store.Device) store.Instant { return min(d.IdleExpires, d.Expires) }

func (h *Handler) activeResponse(ctx context.Context, userID string, answer introspection) (*introspection, error) {
	user, err := h.Store.User(ctx, userID)
	if err != nil {
		return nil, err
	}
	if user.Blocked() {
		return &introspection{}, nil
	}
	answer.Active, answer.Username, answer.Subject, answer.Issuer = true, user.Login, user.ID, h.Issuer
	return &answer, nil
}
