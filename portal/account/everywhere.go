package account

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// signOutEverywhere ends every session of a user, for "kubectl fairlead logout --everywhere". It accepts only tokens of
// the plugin: another client may know the user, but may not sign them out.
func (h *Handler) signOutEverywhere(c echo.Context) error {
	ctx := c.Request().Context()
	token, user, err := h.Bearer.Authenticate(c.Request())
	if err == nil && token.ClientID != clients.PluginID {
		h.Audit.Record(ctx, audit.Event{Name: audit.SignOutRefused, UserID: user.ID, UserName: user.KubeName, ClientID: token.ClientID, Address: c.RealIP(), Reason: "other_client"})
		err = oauth.Errorf(oauth.InvalidToken, "Only kubectl-fairlead may end everything.")
	}
	if err == nil {
		_, err = h.Store.End(ctx, store.Ending{
			Scope: store.EndPerson, UserID: user.ID, Reason: store.RevokedByUser, Log: h.Audit,
			Event: audit.Event{
				Name: audit.UserRevoked, UserID: user.ID, UserName: user.KubeName, ClientID: token.ClientID, DeviceID: token.DeviceID, Address: c.RealIP(),
				Reason: store.RevokedByUser, Detail: "everything",
			},
		}, h.Now())
	}
	if err != nil {
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	oauth.WriteJSON(c.Response(), http.StatusOK, struct{}{})
	return nil
}
