package gitlab_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/gitlab"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakeforge"
)

func config(s *fakeforge.Server, clientSecret string) *gitlab.Config {
	return &gitlab.Config{BaseURL: s.URL, ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
}

func transport(_ *fakeforge.Server) http.RoundTripper { return nil }

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		s := fakeforge.Start(t, connectortest.Callback)
		c, err := config(s, fakeforge.ClientSecret).Open(t.Context(), connectortest.Env(transport(s)))
		if err != nil {
			t.Fatal(err)
		}
		redirecter, ok := c.(connectors.Redirecter)
		if !ok {
			t.Fatal("it does not redirect")
		}
		return &connectortest.Harness{
			Connector: c,
			SignIn: func(ctx context.Context) (connectors.Identity, error) {
				return connectortest.Redirect(ctx, redirecter, transport(s))
			},
			Want:  connectors.Identity{Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "acme/platform"}},
			Leave: s.Leave, Break: s.Close,
		}
	})
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, gitlab.Type())
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := fakeforge.Start(t, connectortest.Callback)
	for _, f := range config(s, fakeforge.ClientSecret).Check(t.Context(), connectortest.Env(transport(s))) {
		if f.State == connectors.Failed {
			t.Errorf("%+v", f)
		}
	}
	connectortest.Refuses(t, config(s, "wrong"), transport(s))
}
