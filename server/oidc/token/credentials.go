package token

import (
	"context"
	"encoding/json"

	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// clientCredentials lets a confidential client act for itself (RFC 6749 section
// 4.4). The access token opens nothing but our own endpoints; the client
// exchanges it for the token of a cluster, where access rules decide about it as
// about everybody. There is no refresh token: the client has its secret.
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
		return nil, err
	}
	h.recordIssued(ctx, req, "", oauth.GrantClientCredentials)
	return json.Marshal(tokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(issuer.AccessTokenLife.Seconds())})
}
