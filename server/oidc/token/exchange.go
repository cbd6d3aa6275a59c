package token

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// exchange returns an ID token for one cluster (RFC 8693). The subject token is the plugin's access token, a
// service client's access token, or a workload's token from its own platform. The new token never has more rights:
// it has one audience, the same user, session and device, and no refresh token.
func (h *Handler) exchange(ctx context.Context, req *request) ([]byte, error) {
	if err := checkExchange(req.params); err != nil {
		return nil, err
	}
	cluster, err := h.targetCluster(ctx, req.params)
	if err != nil {
		return nil, err
	}
	subject, accessHash, err := h.exchangeSubject(ctx, req)
	if err != nil {
		return nil, err
	}
	if subject.User, err = h.authorizeCluster(ctx, subject.User, cluster, req); err != nil {
		return nil, asInvalidTarget(err)
	}
	minted, err := h.Issuer.SignIDToken(issuer.IDTokenParams{
		Subject: *subject, Audience: cluster.Audience, Cluster: cluster, Requester: req.client.ID,
	})
	if err != nil {
		return nil, err
	}
	may, err := h.Store.MayMint(ctx, store.Mint{UserID: subject.User.ID, ClusterID: cluster.ID, AccessHash: accessHash}, h.Now())
	if err != nil {
		return nil, err
	}
	if !may {
		return nil, errDeadSubject()
	}
	h.recordIssued(ctx, req, minted.ID, "token_exchange")
	return json.Marshal(tokenResponse{
		AccessToken: minted.Token, IssuedTokenType: oauth.TokenTypeIDToken, TokenType: "N_A",
		ExpiresIn: int(cluster.TokenLife().Seconds()),
	})
}

func checkExchange(p oauth.Params) error {
	switch {
	case p["subject_token"] == "":
		return oauth.Errorf(oauth.InvalidRequest, "The subject_token is missing. Send an access token or a workload token.")
	case p["requested_token_type"] != "" && p["requested_token_type"] != oauth.TokenTypeIDToken:
		return oauth.Errorf(oauth.InvalidRequest, "The requested_token_type is not supported. Set it to %s.", oauth.TokenTypeIDToken)
	case p["actor_token"] != "" || p["actor_token_type"] != "":
		return oauth.Errorf(oauth.InvalidRequest, "This server does not support actor tokens. Remove actor_token and actor_token_type.")
	case p["audience"] == "" && p["resource"] == "":
		return oauth.Errorf(oauth.InvalidTarget, "The request names no cluster. Send its audience as audience, or its address as resource.")
	}
	return nil
}

// targetCluster finds the requested cluster: by its audience, or by a resource (RFC 8707), which is the address of
// the cluster or of its page in the portal. If both are given they must match.
func (h *Handler) targetCluster(ctx context.Context, p oauth.Params) (*store.Cluster, error) {
	var found []*store.Cluster
	for param, find := range map[string]func(context.Context, string) (*store.Cluster, error){"audience": h.Store.ClusterByAudience, "resource": h.clusterByAddress} {
		if p[param] == "" {
			continue
		}
		cluster, err := find(ctx, p[param])
		if errs.Is(err, errs.NotFound) {
			return nil, oauth.Errorf(oauth.InvalidTarget, "There is no such cluster. Run kubectl fairlead status to list yours.").WithReason("unknown_audience")
		}
		if err != nil {
			return nil, err
		}
		found = append(found, cluster)
	}
	if len(found) > 1 && found[0].ID != found[1].ID {
		return nil, oauth.Errorf(oauth.InvalidTarget, "The audience and the resource name different clusters. Send only one of them.")
	}
	return found[0], nil
}

// clusterByAddress finds a cluster by its own address, or by the address of its page in the portal.
func (h *Handler) clusterByAddress(ctx context.Context, address string) (*store.Cluster, error) {
	if id, isPage := strings.CutPrefix(address, h.ClusterPagePrefix); isPage {
		return h.Store.Cluster(ctx, id)
	}
	return h.Store.ClusterByServer(ctx, strings.TrimSuffix(address, "/"))
}

// exchangeSubject returns the user of the subject token, and the hash of an access token.
func (h *Handler) exchangeSubject(ctx context.Context, req *request) (subject *issuer.Subject, accessHash string, err error) {
	switch req.params["subject_token_type"] {
	case oauth.TokenTypeAccess:
		return h.accessTokenSubject(ctx, req)
	case oauth.TokenTypeJWT, oauth.TokenTypeIDToken:
		subject, err := h.workloadSubject(ctx, req)
		return subject, "", err
	}
	return nil, "", oauth.Errorf(oauth.InvalidRequest, "The subject_token_type is not supported. Set it to %s, or to %s for the token of a workload.",
		oauth.TokenTypeAccess, oauth.TokenTypeJWT)
}

func errDeadSubject() error {
	return oauth.Errorf(oauth.InvalidGrant, "The subject_token is no longer valid. Refresh it or sign in again.").WithReason("subject_token")
}

// accessTokenSubject finds one of Fairlead's access tokens. It must belong to this client.
func (h *Handler) accessTokenSubject(ctx context.Context, req *request) (subject *issuer.Subject, accessHash string, err error) {
	row, user, err := h.Store.AccessTokenWithUser(ctx, req.params["subject_token"])
	if errs.Is(err, errs.NotFound) {
		return nil, "", errDeadSubject()
	}
	if err != nil {
		return nil, "", err
	}
	req.event.UserID, req.event.DeviceID, req.event.SignInID = row.UserID, row.DeviceID, row.SignInID
	if !row.Active(h.Now()) || row.ClientID != req.client.ID {
		return nil, "", errDeadSubject()
	}
	may, err := clients.NewRegistry(h.Store).MayUseClusters(ctx, row)
	if err != nil {
		return nil, "", err
	}
	if !may {
		return nil, "", oauth.Errorf(oauth.InvalidGrant, "The user has not allowed this application to use clusters. Send the user through the sign-in again.").WithReason("no_consent")
	}
	if user, err = h.recheckUser(ctx, user, req); err != nil {
		return nil, "", err
	}
	return &issuer.Subject{
		User: user, SignInID: row.SignInID, DeviceID: row.DeviceID, AMR: row.AMR, Authenticated: row.Authenticated,
	}, row.Hash, nil
}

// workloadSubject verifies a token of a trusted platform.
func (h *Handler) workloadSubject(ctx context.Context, req *request) (*issuer.Subject, error) {
	user, issued, err := h.Workloads.Authenticate(ctx, req.params["subject_token"], req.event)
	if err != nil {
		return nil, asInvalidGrant(err, "workload")
	}
	return &issuer.Subject{User: user, Authenticated: store.At(issued)}, nil
}

// asInvalidTarget returns invalid_target for a missing access rule (RFC 8693 section 2.2.2), because the subject
// token itself is valid.
func asInvalidTarget(err error) error {
	if e := oauth.FromError(err); e.Reason == "no_access_rule" {
		return oauth.Errorf(oauth.InvalidTarget, "%s", e.Description).WithReason(e.Reason)
	}
	return err
}
