package token

import (
	"context"
	"encoding/json"

	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// clientCredentials issues an access token to a confidential client (RFC 6749 section 4.4). The token is valid only
// at the provider's own endpoints. The client exchanges it for cluster tokens, and access rules decide as they do
// for users. There is no refresh token, because the client has its secret.
func (h *Handler) clientCredentials(ctx context.Context, req *request) ([]byte, error) {
	if req.client.Public {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "A public client can't use client_credentials. Use a client with a secret or a key.")
	}
	user, err := h.Workloads.ServiceUser(ctx, req.client)
	if err != nil {
		return nil, asInvalidGrant(err, "account")
	}
	req.event.UserID, req.event.UserName, req.event.ConnectorID = user.ID, user.KubeName, user.ConnectorID
	scopes := []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeGroups}
	token, row := h.Issuer.NewAccessToken(issuer.Subject{User: user, Authenticated: store.At(h.Now())}, req.client.ID, scopes)
	if err := h.Store.CreateAccessToken(ctx, &row); err != nil {
		return nil, asInvalidGrant(err, "account")
	}
	h.recordIssued(ctx, req, "", oauth.GrantClientCredentials)
	return json.Marshal(tokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(issuer.AccessTokenLife.Seconds())})
}
