package linkedin_test

import (
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
	})
}
