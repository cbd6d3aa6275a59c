package gitlab_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/gitlab"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: gitlab.Type(),
		Config: func(s *fakeforge.Server, clientSecret string) connectors.Config {
			return &gitlab.Config{BaseURL: s.URL, ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
		},
		Want: connectors.Identity{Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "acme/platform"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable,
			{Name: "refresh token revoked", Want: connectors.OutcomeDenied, Path: "/oauth/token", Status: 400, Body: `{"error":"invalid_grant","error_description":"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client."}`},
			{Name: "account blocked", Want: connectors.OutcomeDenied, Path: "/api/v4/user", Status: 403, Body: `{"message":"403 Forbidden - Your account has been blocked."}`},
			{Name: "token revoked", Want: connectors.OutcomeDenied, Path: "/api/v4/user", Status: 401, Body: `{"message":"401 Unauthorized"}`},
			{Name: "login required", Want: connectors.OutcomeSignInAgain, Path: "/oauth/token", Status: 400, Body: `{"error":"login_required"}`},
			{Name: "maintenance", Want: connectors.OutcomeUnavailable, Path: "/oauth/token", Status: 503, Body: `<html>GitLab is not responding</html>`},
			{Name: "too many requests", Want: connectors.OutcomeUnavailable, Path: "/api/v4/user", Status: 429, Body: `Retry later`},
			{Name: "client secret changed", Want: connectors.OutcomeMisconfigured, Path: "/oauth/token", Status: 401, Body: `{"error":"invalid_client","error_description":"Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method."}`},
			{Name: "scope missing", Want: connectors.OutcomeMisconfigured, Path: "/api/v4/user", Status: 403, Body: `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api read_user"}`},
			{Name: "another site answers", Want: connectors.OutcomeMisconfigured, Path: "/api/v4/user", Status: 404, Body: `{"error":"404 Not Found"}`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
			connectors.OutcomeUnconfirmed:      "GitLab always gives a refresh token",
		},
	})
}
