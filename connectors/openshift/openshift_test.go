package openshift_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/openshift"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	connectortest.Forge(t, connectortest.ForgeCase{
		Type: openshift.Type(),
		Config: func(s *fakeforge.Server, clientSecret string) connectors.Config {
			return &openshift.Config{Issuer: s.URL, ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
		},
		Want: connectors.Identity{Subject: "42", Username: "jane", Name: "jane", Groups: []string{"acme", "platform"}},
		Answers: []connectortest.Answer{
			connectortest.Unreachable, connectortest.NothingToAskWith,
			{Name: "token deleted", Want: connectors.OutcomeDenied, Path: "/apis/user.openshift.io/v1/users/~", Status: 401, Body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`},
			{Name: "API server restarts", Want: connectors.OutcomeUnavailable, Path: "/apis/user.openshift.io/v1/users/~", Status: 503, Body: `{"kind":"Status","status":"Failure","message":"the server is currently unable to handle the request","reason":"ServiceUnavailable","code":503}`},
			{Name: "scope missing", Want: connectors.OutcomeMisconfigured, Path: "/apis/user.openshift.io/v1/users/~", Status: 403, Body: `{"kind":"Status","status":"Failure","message":"users.user.openshift.io \"~\" is forbidden: scopes [] prevent this action","reason":"Forbidden","code":403}`},
			{Name: "not OpenShift any more", Want: connectors.OutcomeMisconfigured, Path: "/apis/user.openshift.io/v1/users/~", Status: 404, Body: `{"kind":"Status","status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","code":404}`},
		},
		Impossible: map[connectors.Outcome]string{
			connectors.OutcomeSignInAgain:      "OpenShift gives no refresh token, so the token endpoint is not asked again; its API has no such answer",
			connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
		},
	})
}
