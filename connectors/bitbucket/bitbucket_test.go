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
	})
}
