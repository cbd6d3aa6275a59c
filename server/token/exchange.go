package token

import (
	"context"
	"encoding/json"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/issuer"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

// exchange turns the plugin's access token into an ID token for one cluster
// (RFC 8693). It only narrows: one audience, no refresh token, the same person,
// sign-in and device.
func (h *Handler) exchange(ctx context.Context, req *request) ([]byte, error) {
	if err := checkExchange(req.params); err != nil {
		return nil, err
	}
	row, err := h.subject(ctx, req)
	if err != nil {
		return nil, err
	}
	cluster, err := h.Store.ClusterByAudience(ctx, req.params["audience"])
	if errs.Is(err, errs.NotFound) {
		return nil, oauth.Errorf(oauth.InvalidTarget, "There is no such cluster. List yours with: kubectl fairlead status").Because("unknown_audience")
	}
	if err != nil {
		return nil, err
	}
	user, err := h.allowed(ctx, row.UserID, cluster, req)
	if err != nil {
		return nil, targetError(err)
	}
	minted, err := h.Issuer.MintID(issuer.IDToken{
		Subject: issuer.Subject{
			User: user, SignInID: row.SignInID, DeviceID: row.DeviceID, AMR: row.AMR, Authenticated: row.Authenticated,
		},
		Audience: cluster.Audience, Cluster: cluster, Requester: req.client.ID,
	})
	if err != nil {
		return nil, err
	}
	h.issued(ctx, req, minted.ID, "token_exchange")
	return json.Marshal(answer{
		AccessToken: minted.Token, IssuedTokenType: oauth.TokenTypeIDToken, TokenType: "N_A",
		ExpiresIn: int(cluster.TokenLife().Seconds()),
	})
}

func checkExchange(p oauth.Params) error {
	switch {
	case p["subject_token_type"] != oauth.TokenTypeAccess:
		return oauth.Errorf(oauth.InvalidRequest, "The subject_token_type must be %s.", oauth.TokenTypeAccess)
	case p["requested_token_type"] != "" && p["requested_token_type"] != oauth.TokenTypeIDToken:
		return oauth.Errorf(oauth.InvalidRequest, "The requested_token_type must be %s.", oauth.TokenTypeIDToken)
	case p["actor_token"] != "" || p["actor_token_type"] != "":
		return oauth.Errorf(oauth.InvalidRequest, "Acting for somebody else is not supported.")
	case p["resource"] != "":
		return oauth.Errorf(oauth.InvalidTarget, "Name the cluster with audience, not with resource.")
	}
	return nil
}

// subject finds the access token. It must have been given to this very client.
func (h *Handler) subject(ctx context.Context, req *request) (*store.AccessToken, error) {
	dead := oauth.Errorf(oauth.InvalidGrant, "The subject token is not valid any more. Refresh it or sign in again.").Because("subject_token")
	row, err := h.Store.AccessToken(ctx, req.params["subject_token"])
	if errs.Is(err, errs.NotFound) {
		return nil, dead
	}
	if err != nil {
		return nil, err
	}
	req.event.UserID, req.event.DeviceID, req.event.SignInID = row.UserID, row.DeviceID, row.SignInID
	if !row.Live(h.Now()) || row.ClientID != req.client.ID {
		return nil, dead
	}
	return row, nil
}

// targetError names a missing access rule as RFC 8693 section 2.2.2 wants it:
// the target is refused, the subject token is fine.
func targetError(err error) error {
	if e := oauth.From(err); e.Reason == "no_access_rule" {
		return oauth.Errorf(oauth.InvalidTarget, "%s", e.Description).Because(e.Reason)
	}
	return err
}
