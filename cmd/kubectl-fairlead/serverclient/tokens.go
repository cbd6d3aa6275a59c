package serverclient

import (
	"context"
	"net/url"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Grant types and token types. The setup code is Fairlead's own (docs/adr/0010-setup-code.md).
const (
	grantCode     = "authorization_code"
	grantRefresh  = "refresh_token"
	grantSetup    = "urn:fairlead:params:oauth:grant-type:setup-code"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken   = "urn:ietf:params:oauth:token-type:id_token"
)

// AuthorizationRequest is the authorization request of a sign-in in a browser.
type AuthorizationRequest struct {
	RedirectURI, State string
	// Challenge is the PKCE challenge (S256).
	Challenge string
	// Host is the name of this computer, for the list of devices.
	Host string
	// PromptLogin makes the user sign in again, even if the browser is signed in.
	PromptLogin bool
}

// AuthorizationURL returns the URL that the browser opens to sign in.
func (s *Server) AuthorizationURL(r AuthorizationRequest) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {r.RedirectURI}, "scope": {scopes}, "state": {r.State},
		"code_challenge": {r.Challenge}, "code_challenge_method": {"S256"},
	}
	if r.Host != "" {
		q.Set("fairlead_host", r.Host)
	}
	if r.PromptLogin {
		q.Set("prompt", "login")
	}
	return s.base + "/authorize?" + q.Encode()
}

// Tokens is a response of the token endpoint.
type Tokens struct {
	AccessToken  secret.Value
	RefreshToken secret.Value
	// Expires is when the access token expires, by this computer's clock.
	Expires time.Time
}

// ExchangeCode exchanges an authorization code for tokens.
func (s *Server) ExchangeCode(ctx context.Context, code, redirectURI, verifier string) (Tokens, error) {
	return s.requestTokens(ctx, url.Values{"grant_type": {grantCode}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}})
}

// ExchangeSetupCode exchanges a setup code for tokens. Host is the name of this computer.
func (s *Server) ExchangeSetupCode(ctx context.Context, code secret.Value, host string) (Tokens, error) {
	return s.requestTokens(ctx, url.Values{"grant_type": {grantSetup}, "code": {code.Reveal()}, "fairlead_host": {host}})
}

// Refresh exchanges a refresh token for new tokens. The server accepts it once.
func (s *Server) Refresh(ctx context.Context, token secret.Value) (Tokens, error) {
	return s.requestTokens(ctx, url.Values{"grant_type": {grantRefresh}, "refresh_token": {token.Reveal()}})
}

// ExchangeToken exchanges the access token for a token with a cluster's audience (RFC 8693).
func (s *Server) ExchangeToken(ctx context.Context, access secret.Value, audience string) (Tokens, error) {
	return s.requestTokens(ctx, url.Values{
		"grant_type": {grantExchange}, "subject_token": {access.Reveal()}, "subject_token_type": {typeAccess},
		"requested_token_type": {typeIDToken}, "audience": {audience},
	})
}

// ExchangeWorkloadToken exchanges a workload's token, issued by its platform, for a token for
// a cluster.
func (s *Server) ExchangeWorkloadToken(ctx context.Context, token secret.Value, cluster string) (Tokens, error) {
	return s.requestTokens(ctx, url.Values{
		"grant_type": {grantExchange}, "subject_token": {token.Reveal()}, "subject_token_type": {typeJWT},
		"requested_token_type": {typeIDToken}, "resource": {s.base + "/clusters/" + url.PathEscape(cluster)},
	})
}

// Revoke ends the session of a refresh token.
func (s *Server) Revoke(ctx context.Context, token secret.Value) error {
	return s.post(ctx, "/revoke", url.Values{"client_id": {clientID}, "token": {token.Reveal()}}, nil)
}

func (s *Server) requestTokens(ctx context.Context, form url.Values) (Tokens, error) {
	form.Set("client_id", clientID)
	start := s.now()
	var response struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresIn    int    `json:"expires_in"`
	}
	if err := s.post(ctx, "/token", form, &response); err != nil {
		return Tokens{}, err
	}
	return Tokens{
		AccessToken: secret.NewValue(response.AccessToken), RefreshToken: secret.NewValue(response.RefreshToken),
		Expires: start.Add(time.Duration(response.ExpiresIn) * time.Second),
	}, nil
}
