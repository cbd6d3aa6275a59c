package linkedin_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/linkedin"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakeforge"
)

func config(_ *fakeforge.Server, clientSecret string) *linkedin.Config {
	return &linkedin.Config{ClientID: fakeforge.ClientID, ClientSecret: secret.NewValue(clientSecret)}
}

func transport(s *fakeforge.Server) http.RoundTripper { return s.Transport() }

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
			Want:  connectors.Identity{Subject: "42", Username: "jane@example.test", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true},
			Leave: s.Leave, Break: s.Close,
		}
	})
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, linkedin.Type())
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
