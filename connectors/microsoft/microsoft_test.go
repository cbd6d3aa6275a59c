package microsoft_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/microsoft"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: microsoft.Type(),
		Config: func(s *fakeforge.Server, clientSecret string) connectors.Config {
			return &microsoft.Config{
				Tenant: "contoso", APIURL: s.URL, GraphURL: s.URL, PreferredUsernameField: "mailNickname", ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret),
			}
		},
		Want: connectors.Identity{Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"platform"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable,
			{Name: "account disabled", Want: connectors.OutcomeDenied, Path: "/oauth2/v2.0/token", Status: 400, Body: `{"error":"invalid_grant","error_description":"AADSTS50057: The user account is disabled.","error_codes":[50057]}`, Expired: true},
			{Name: "token revoked", Want: connectors.OutcomeDenied, Path: "/v1.0/me", Status: 401, Body: `{"error":{"code":"InvalidAuthenticationToken","message":"Access token has expired or is not yet valid."}}`},
			{Name: "multi-factor demanded", Want: connectors.OutcomeSignInAgain, Path: "/oauth2/v2.0/token", Status: 400, Body: `{"error":"interaction_required","error_description":"AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication.","error_codes":[50076],"suberror":"basic_action"}`, Expired: true},
			{Name: "consent withdrawn", Want: connectors.OutcomeSignInAgain, Path: "/oauth2/v2.0/token", Status: 400, Body: `{"error":"consent_required","error_description":"AADSTS65001: The user or administrator has not consented to use the application."}`, Expired: true},
			{Name: "service busy", Want: connectors.OutcomeUnavailable, Path: "/oauth2/v2.0/token", Status: 503, Body: `{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred."}`, Expired: true},
			{Name: "throttled", Want: connectors.OutcomeUnavailable, Path: "/v1.0/me", Status: 429, Body: `{"error":{"code":"TooManyRequests","message":"Please retry after"}}`},
			{Name: "throttled after a renewed token", Want: connectors.OutcomeUnavailable, Path: "/v1.0/me", Status: 429, Body: `{"error":{"code":"TooManyRequests","message":"Please retry after"}}`, Expired: true},
			{Name: "client secret expired", Want: connectors.OutcomeMisconfigured, Path: "/oauth2/v2.0/token", Status: 401, Body: `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app are expired."}`, Expired: true},
			{Name: "groups not allowed", Want: connectors.OutcomeMisconfigured, Path: "/v1.0/me/getMemberGroups", Status: 403, Body: `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
			connectors.OutcomeUnconfirmed:      "Entra always gives a refresh token",
		},
	})
}
