package bitbucket_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/bitbucket"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: bitbucket.Type(),
		Config: func(_ *fakeforge.Server, clientSecret string) connectors.Config {
			return &bitbucket.Config{Teams: []string{"acme"}, ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
		},
		Elsewhere: true,
		Want:      connectors.Identity{Subject: "{42}", Username: "jane@example.test", Name: "jane", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable,
			{Name: "refresh token revoked", Want: connectors.OutcomeDenied, Path: "/site/oauth2/access_token", Status: 400, Body: `{"error_description":"Invalid refresh_token","error":"invalid_grant"}`, Expired: true},
			{Name: "token revoked", Want: connectors.OutcomeDenied, Path: "/2.0/user", Status: 401, Body: `{"type":"error","error":{"message":"Access token expired. Use your refresh token to obtain a new access token."}}`},
			{Name: "left every workspace", Want: connectors.OutcomeDenied, Path: "/2.0/user/workspaces", Status: 200, Body: `{"values":[]}`},
			{Name: "login required", Want: connectors.OutcomeSignInAgain, Path: "/site/oauth2/access_token", Status: 400, Body: `{"error":"login_required"}`, Expired: true},
			{Name: "too many requests", Want: connectors.OutcomeUnavailable, Path: "/2.0/user", Status: 429, Body: `Rate limit for this resource has been exceeded`},
			{Name: "too many requests after a renewed token", Want: connectors.OutcomeUnavailable, Path: "/2.0/user", Status: 429, Body: `Rate limit for this resource has been exceeded`, Expired: true},
			{Name: "client secret changed", Want: connectors.OutcomeMisconfigured, Path: "/site/oauth2/access_token", Status: 400, Body: `{"error_description":"Client credentials are invalid.","error":"invalid_client"}`, Expired: true},
			{Name: "scope missing", Want: connectors.OutcomeMisconfigured, Path: "/2.0/user", Status: 403, Body: `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":{"required":["account"]}}}`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
			connectors.OutcomeUnconfirmed:      "Bitbucket always gives a refresh token",
		},
	})
}
