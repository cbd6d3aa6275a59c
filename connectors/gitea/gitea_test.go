package gitea_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/gitea"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: gitea.Type(),
		Config: func(s *fakeforge.Server, clientSecret string) connectors.Config {
			return &gitea.Config{BaseURL: s.URL, ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
		},
		Want: connectors.Identity{Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "acme:platform"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable,
			{Name: "refresh token revoked", Want: connectors.OutcomeDenied, Path: "/login/oauth/access_token", Status: 400, Body: `{"error":"unauthorized_client","error_description":"token was already used"}`, Expired: true},
			{Name: "login prohibited", Want: connectors.OutcomeDenied, Path: "/api/v1/user", Status: 403, Body: `{"message":"user is not allowed to sign in","url":"https://gitea.example/api/swagger"}`},
			{Name: "token revoked", Want: connectors.OutcomeDenied, Path: "/api/v1/user", Status: 401, Body: `{"message":"token is required","url":"https://gitea.example/api/swagger"}`},
			{Name: "login required", Want: connectors.OutcomeSignInAgain, Path: "/login/oauth/access_token", Status: 400, Body: `{"error":"login_required"}`, Expired: true},
			{Name: "bad gateway", Want: connectors.OutcomeUnavailable, Path: "/api/v1/user", Status: 502, Body: `<html>502 Bad Gateway</html>`},
			{Name: "bad gateway after a renewed token", Want: connectors.OutcomeUnavailable, Path: "/api/v1/user", Status: 502, Body: `<html>502 Bad Gateway</html>`, Expired: true},
			{Name: "client secret changed", Want: connectors.OutcomeMisconfigured, Path: "/login/oauth/access_token", Status: 400, Body: `{"error":"invalid_client","error_description":"cannot load client with client id: 1"}`, Expired: true},
			{Name: "the address moved", Want: connectors.OutcomeMisconfigured, Path: "/api/v1/user", Status: 404, Body: `Not found.`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
			connectors.OutcomeUnconfirmed:      "Gitea always gives a refresh token",
		},
	})
}
