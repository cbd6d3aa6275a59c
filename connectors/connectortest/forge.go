package connectortest

import (
	"context"
	"net/http"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

// ForgeCase is a connector whose upstream fakeforge stands in for.
type ForgeCase struct {
	Type connectors.Type
	// Config returns settings that fit the stand-in, but for the client secret.
	Config func(s *fakeforge.Server, clientSecret string) connectors.Config
	// Elsewhere says that the address of the upstream is fixed, so that requests have
	// to be sent to the stand-in on their way.
	Elsewhere bool
	// Want is jane.
	Want connectors.Identity
}

// Forge checks the contract of a connector, its form, and its check with the right
// client secret and a wrong one.
func Forge(t *testing.T, f ForgeCase) {
	t.Helper()
	t.Run("contract", func(t *testing.T) {
		t.Parallel()
		Run(t, f.harness)
	})
	t.Run("form", func(t *testing.T) {
		t.Parallel()
		Form(t, f.Type)
	})
	t.Run("check", func(t *testing.T) {
		t.Parallel()
		s := fakeforge.Start(t, Callback)
		Accepts(t, f.Config(s, fakeforge.ClientSecret), f.transport(s))
		Refuses(t, f.Config(s, "wrong"), f.transport(s))
	})
}

func (f *ForgeCase) transport(s *fakeforge.Server) http.RoundTripper {
	if f.Elsewhere {
		return s.Transport()
	}
	return nil
}

func (f *ForgeCase) harness(t *testing.T) *Harness {
	t.Helper()
	s := fakeforge.Start(t, Callback)
	c, err := f.Config(s, fakeforge.ClientSecret).Open(t.Context(), Env(f.transport(s)))
	if err != nil {
		t.Fatal(err)
	}
	redirecter, ok := c.(connectors.Redirecter)
	if !ok {
		t.Fatal("it does not redirect")
	}
	return &Harness{
		Connector: c,
		SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return Redirect(ctx, redirecter, f.transport(s))
		},
		Want: f.Want, Leave: s.Leave, Break: s.Close,
	}
}
