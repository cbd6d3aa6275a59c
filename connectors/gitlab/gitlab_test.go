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
	})
}
