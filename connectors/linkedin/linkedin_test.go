package linkedin_test

import (
	"net/http"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/linkedin"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: linkedin.Type(),
		Config: func(_ *fakeforge.Server, clientSecret string) connectors.Config {
			return &linkedin.Config{ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
		},
		Elsewhere: true,
		Want:      connectors.Identity{Subject: "42", Username: "jane@example.test", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true},
		Answers: []connectortest.Answer{
			connectortest.Unreachable, connectortest.NothingToAskWith,
			{Name: "token revoked by the member", Want: connectors.OutcomeDenied, Path: "/v2/userinfo", Status: http.StatusUnauthorized, Body: `{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"The token used in the request has been revoked by the user"}`},
			{Name: "throttled", Want: connectors.OutcomeUnavailable, Path: "/v2/userinfo", Status: http.StatusTooManyRequests, Body: `{"serviceErrorCode":101,"message":"Resource level throttle MEMBER DAY limit for calls to this resource is reached.","status":429}`},
			{Name: "product removed from the app", Want: connectors.OutcomeMisconfigured, Path: "/v2/userinfo", Status: http.StatusForbidden, Header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_scope"`}, Body: `{"status":403,"serviceErrorCode":100,"code":"ACCESS_DENIED","message":"Not enough permissions to access: userinfo.GET.NO_VERSION"}`},
			{Name: "not JSON", Want: connectors.OutcomeMisconfigured, Path: "/v2/userinfo", Status: http.StatusOK, Body: `<html>`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeSignInAgain:      "LinkedIn's token endpoint is not asked again, and its userinfo endpoint has no such answer",
			connectors.OutcomeUnusableIdentity: "LinkedIn has no groups, and its names are checked for every connector alike",
		},
	})
}
