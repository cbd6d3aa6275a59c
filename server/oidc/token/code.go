package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// errInvalidCode is the same for unknown, used and expired codes, so that guesses reveal nothing.
func errInvalidCode() *oauth.Error {
	return oauth.Errorf(oauth.InvalidGrant, "The code is not valid, has expired or was used before. Sign in again.")
}

// authorizationCode exchanges a code (RFC 6749 section 4.1.3, RFC 7636).
func (h *Handler) authorizationCode(ctx context.Context, req *request) ([]byte, error) {
	row, err := h.Store.Code(ctx, req.params["code"])
	if errs.Is(err, errs.NotFound) {
		return nil, errInvalidCode()
	}
	if err != nil {
		return nil, err
	}
	if setupcode.IsSetupCode(row) {
		return nil, errInvalidCode().WithReason("setup_code")
	}
	req.event.UserID, req.event.SignInID, req.event.DeviceID = row.UserID, row.SignInID, row.DeviceID
	if err := checkCode(row, req); err != nil {
		return nil, err
	}
	// A replay is a theft only if all other parameters are right. Otherwise anyone who saw the code could end the
	// user's session (OAuth 2.1 section 4.1.3).
	if row.Used != 0 {
		return nil, h.revokeReplayed(ctx, row.UserID, row.DeviceID, row.AccessHash, req)
	}
	if row.Expires.Passed(h.Now()) {
		return nil, errInvalidCode().WithReason("expired")
	}
	user, err := h.authorizeUser(ctx, row.UserID, req.client.Cluster, req)
	if err != nil {
		return nil, err
	}
	return h.redeem(ctx, authorization{
		hash: row.Hash, user: user, signIn: row.SignInID, scopes: row.Scopes, amr: row.AMR, authenticated: row.Authenticated,
		nonce: row.Nonce, host: row.Host, redeem: h.Store.RedeemCode,
	}, req)
}

func checkCode(row *store.Code, req *request) error {
	if row.ClientID != req.client.ID {
		return errInvalidCode().WithReason("other_client")
	}
	uri := req.params["redirect_uri"]
	if uri != row.RedirectURI && (uri != "" || row.Challenge == "") {
		return oauth.Errorf(oauth.InvalidGrant, "The redirect_uri differs from the one in the authorization request. Send the same one.").WithReason("redirect_uri")
	}
	if !matchesChallenge(row.Challenge, req.params["code_verifier"]) {
		return oauth.Errorf(oauth.InvalidGrant, "The code_verifier does not match the code_challenge. Start the sign-in again.").WithReason("pkce")
	}
	return nil
}

// matchesChallenge checks PKCE S256. It refuses a verifier without a challenge, because an attacker may have
// removed the challenge (RFC 9700 section 4.8).
func matchesChallenge(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}

// authorization is what a user has allowed, by a code or a device code.
type authorization struct {
	hash          string
	user          *store.User
	signIn        string
	scopes, amr   []string
	authenticated store.Instant
	nonce, host   string
	// redeem marks the code as used and issues tokens. Exactly one of several concurrent callers succeeds.
	redeem func(context.Context, store.Redemption, time.Time) (bool, error)
}

func (h *Handler) redeem(ctx context.Context, a authorization, req *request) ([]byte, error) {
	subject := issuer.Subject{User: a.user, SignInID: a.signIn, AMR: a.amr, Authenticated: a.authenticated}
	redemption := store.Redemption{CodeHash: a.hash}
	out := tokenResponse{TokenType: "Bearer", ExpiresIn: int(issuer.AccessTokenLife.Seconds()), Scope: strings.Join(a.scopes, " ")}
	if slices.Contains(a.scopes, oauth.ScopeOfflineAccess) && req.client.MayUse(oauth.GrantRefreshToken) {
		redemption.Device = h.newDevice(a, req)
		subject.DeviceID = redemption.Device.ID
		out.RefreshToken, redemption.Refresh = h.newRefresh(redemption.Device)
	}
	out.AccessToken, redemption.Access = h.Issuer.NewAccessToken(subject, req.client.ID, a.scopes)
	minted, err := h.Issuer.SignIDToken(issuer.IDTokenParams{
		Subject: subject, Audience: req.client.ID, Cluster: req.client.Cluster, Requester: req.client.ID,
		Scopes: a.scopes, Nonce: a.nonce, Algorithm: req.client.Algorithm,
	})
	if err != nil {
		return nil, err
	}
	out.IDToken = minted.Token
	won, err := a.redeem(ctx, redemption, h.Now())
	if err != nil {
		return nil, err
	}
	if !won {
		return nil, errInvalidCode().WithReason("code_raced")
	}
	if err := h.recordClusterUse(ctx, req); err != nil {
		return nil, err
	}
	req.event.DeviceID = subject.DeviceID
	h.recordIssued(ctx, req, minted.ID, req.params["grant_type"])
	return json.Marshal(out)
}

func (h *Handler) newDevice(a authorization, req *request) *store.Device {
	now := h.Now()
	return &store.Device{
		ID: secret.ID("dev"), UserID: a.user.ID, ClientID: req.client.ID, SignInID: a.signIn,
		Host: a.host, Address: req.event.Address, Scopes: a.scopes, AMR: a.amr,
		Authenticated: a.authenticated, Created: store.At(now), LastUsed: store.At(now),
		IdleExpires: store.At(now.Add(h.RuntimeSettings.Get().IdleTimeout)), Expires: store.At(now.Add(h.RuntimeSettings.Get().AbsoluteTimeout)),
	}
}

func (h *Handler) newRefresh(d *store.Device) (string, *store.RefreshToken) {
	token := secret.Token().Reveal()
	return token, &store.RefreshToken{Hash: secret.Hash(token), DeviceID: d.ID, Created: store.At(h.Now()), Expires: d.Expires}
}

func (h *Handler) recordIssued(ctx context.Context, req *request, jti, reason string) {
	h.Audit.Record(ctx, issuedEvent(req, jti, reason))
}

func issuedEvent(req *request, jti, reason string) audit.Event {
	event := req.event
	event.Name, event.TokenID, event.Reason = audit.TokenIssued, jti, reason
	return event
}
