package token

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// sealContext binds an encrypted response to the row of its token.
func sealContext(hash string) string { return "refresh_tokens.sealed_answer:" + hash }

// refresh rotates a refresh token (RFC 6749 section 6). During the grace period, all callers with the same token
// get the same response from any replica. Afterwards, or once the successor was used, a reuse counts as theft and
// ends the device (RFC 9700 section 4.14).
func (h *Handler) refresh(ctx context.Context, req *request) ([]byte, error) {
	presented := req.params["refresh_token"]
	found, err := h.Store.RefreshTokenDetails(ctx, presented)
	if errs.Is(err, errs.NotFound) {
		return nil, oauth.Errorf(oauth.InvalidGrant, "This server does not know the refresh token. Sign in again.").WithReason("unknown_token")
	}
	if err != nil {
		return nil, err
	}
	row, device := &found.Token, &found.Device
	if device.ClientID != req.client.ID {
		return nil, oauth.Errorf(oauth.InvalidGrant, "This server does not know the refresh token. Sign in again.").WithReason("other_client")
	}
	req.event.UserID, req.event.DeviceID, req.event.SignInID = device.UserID, device.ID, device.SignInID
	if found.User.Disabled { // the refusal has ended the device too: return the cause
		return nil, errDisabled(&found.User)
	}
	if !device.Active(h.Now()) || row.Expires.Passed(h.Now()) {
		return nil, errDeviceEnded(device)
	}
	if row.Used != 0 {
		return h.answerUsedToken(ctx, presented, row, req)
	}
	scopes, err := narrowScope(device.Scopes, req.params["scope"])
	if err != nil {
		return nil, err
	}
	user, err := h.recheckUser(ctx, &found.User, req)
	if err != nil {
		return nil, err
	}
	if cluster := req.client.Cluster; cluster != nil {
		if user, err = h.authorizeCluster(ctx, user, cluster, req); err != nil {
			return nil, err
		}
	}
	return h.rotate(ctx, rotation{presented: presented, device: device, user: user, scopes: scopes}, req)
}

func errDisabled(u *store.User) error {
	return oauth.Errorf(oauth.InvalidGrant, "The account %s is disabled. Ask an admin to enable it.", u.KubeName).WithReason("account")
}

// errDeviceEnded says why the device has ended. The plugin prints the text.
func errDeviceEnded(d *store.Device) error {
	switch d.Reason {
	case store.RevokedByUser:
		return oauth.Errorf(oauth.InvalidGrant, "This device was signed out on the account page. Sign in again.").WithReason(d.Reason)
	case store.RevokedByAdmin:
		return oauth.Errorf(oauth.InvalidGrant, "An admin signed this device out. Sign in again.").WithReason(d.Reason)
	case store.RevokedConsent:
		return oauth.Errorf(oauth.InvalidGrant, "The user revoked the consent for this application. Sign in again.").WithReason(d.Reason)
	case store.RevokedPassword:
		return oauth.Errorf(oauth.InvalidGrant, "The password of the account was changed. Sign in with the new one.").WithReason(d.Reason)
	case store.RevokedByClient:
		return oauth.Errorf(oauth.InvalidGrant, "This device has signed out. Sign in again.").WithReason(d.Reason)
	case store.RevokedReplay, store.RevokedCodeReplay:
		return oauth.Errorf(oauth.InvalidGrant, "This device was signed out because its refresh token was used twice, which can be theft. Sign in again.").WithReason(d.Reason)
	}
	return oauth.Errorf(oauth.InvalidGrant, "The session has reached its time limit. Sign in again.").WithReason("session_limit")
}

// narrowScope lets a client ask for fewer scopes than granted, never for more.
func narrowScope(granted []string, asked string) ([]string, error) {
	if asked == "" {
		return granted, nil
	}
	scopes := oauth.ParseScope(asked)
	for _, s := range scopes {
		if !slices.Contains(granted, s) {
			return nil, oauth.Errorf(oauth.InvalidScope, "The scope %s was not granted at sign-in. Remove it, or sign in again.", s)
		}
	}
	if !slices.Contains(scopes, oauth.ScopeOpenID) {
		return nil, oauth.Errorf(oauth.InvalidScope, "The scope openid is missing. Add it to the scope parameter.")
	}
	return scopes, nil
}

type rotation struct {
	presented string
	device    *store.Device
	user      *store.User
	scopes    []string
}

func (h *Handler) rotate(ctx context.Context, r rotation, req *request) ([]byte, error) {
	subject := issuer.Subject{
		User: r.user, SignInID: r.device.SignInID, DeviceID: r.device.ID, AMR: r.device.AMR, Authenticated: r.device.Authenticated,
	}
	successor, row := h.newRefresh(r.device)
	out := tokenResponse{
		TokenType: "Bearer", ExpiresIn: int(issuer.AccessTokenLife.Seconds()), RefreshToken: successor, Scope: strings.Join(r.scopes, " "),
	}
	minted, err := h.Issuer.SignIDToken(issuer.IDTokenParams{
		Subject: subject, Audience: req.client.ID, Cluster: req.client.Cluster, Requester: req.client.ID,
		Scopes: r.scopes, Algorithm: req.client.Algorithm,
	})
	if err != nil {
		return nil, err
	}
	out.IDToken = minted.Token
	token, accessRow := h.Issuer.NewAccessToken(subject, req.client.ID, r.scopes)
	out.AccessToken = token
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	hash := secret.Hash(r.presented)
	sealed, err := secret.SealUnder(r.presented, sealContext(hash), body)
	if err != nil {
		return nil, err
	}
	event := h.Audit.Complete(ctx, issuedEvent(req, minted.ID, oauth.GrantRefreshToken))
	won, err := h.Store.Rotate(ctx, store.Rotation{
		Presented: hash, Successor: *row, Access: accessRow, SealedAnswer: sealed,
		IdleExpires: store.At(h.Now().Add(h.RuntimeSettings.Get().IdleTimeout)), Event: event,
	}, h.Now())
	if err != nil {
		return nil, err
	}
	if !won { // another caller was first, or the device was revoked
		return h.lostRace(ctx, r.presented, req)
	}
	h.Audit.RecordStored(ctx, event, h.Store)
	return body, h.recordClusterUse(ctx, req)
}

func (h *Handler) lostRace(ctx context.Context, presented string, req *request) ([]byte, error) {
	found, err := h.Store.RefreshTokenDetails(ctx, presented)
	if err != nil {
		return nil, err
	}
	switch {
	case found.User.Disabled:
		return nil, errDisabled(&found.User)
	case found.User.Blocked():
		return nil, oauth.Errorf(oauth.InvalidGrant, "The upstream refuses the account %s. Ask an admin for help.", found.User.KubeName).WithReason("account")
	case !found.Device.Active(h.Now()) || found.Token.Used == 0:
		return nil, errDeviceEnded(&found.Device)
	}
	return h.answerUsedToken(ctx, presented, &found.Token, req)
}

// answerUsedToken handles a token that was used before.
func (h *Handler) answerUsedToken(ctx context.Context, presented string, row *store.RefreshToken, req *request) ([]byte, error) {
	successorUsed, err := h.Store.SuccessorUsed(ctx, row)
	if err != nil {
		return nil, err
	}
	if !successorUsed && h.outage.inGrace(row.Used.Time(), h.Now(), h.RuntimeSettings.Get().RefreshGrace) {
		body, err := secret.OpenUnder(presented, sealContext(row.Hash), row.SealedAnswer)
		if err != nil {
			return nil, err
		}
		return body, nil
	}
	event := req.event
	event.Name, event.Reason = audit.TokenReplayed, store.RevokedReplay
	replayed := store.Ending{Scope: store.EndDevice, UserID: event.UserID, ID: row.DeviceID, Reason: store.RevokedReplay, Event: event, Log: h.Audit}
	if _, err := h.Store.End(ctx, replayed, h.Now()); err != nil {
		return nil, err
	}
	return nil, errDeviceEnded(&store.Device{Reason: store.RevokedReplay})
}
