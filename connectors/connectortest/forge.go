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
	// Answers are what the product answers at renewals; Impossible says why the other
	// outcomes can't happen.
	Answers    []Answer
	Impossible map[connectors.Outcome]string
}

// Forge checks the contract of a connector, its form, and its check with the right
// client secret and a wrong one.
func Forge(t *testing.T, f ForgeCase) {
	t.Helper()
	t.Run("contract", func(t *testing.T) {
		t.Parallel()
		Run(t, f.harness)
	})
	t.Run("outcomes", func(t *testing.T) {
		t.Parallel()
		Outcomes(t, f.harnessThrough, f.Answers, f.Impossible)
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
	return f.open(t, func(s *fakeforge.Server) http.RoundTripper { return f.transport(s) })
}

// harnessThrough opens the connector behind a transport that answers in the upstream's place.
func (f *ForgeCase) harnessThrough(t *testing.T, upset *Upset) *Harness {
	t.Helper()
	return f.open(t, func(s *fakeforge.Server) http.RoundTripper {
		upset.Base = f.transport(s)
		return upset
	})
}

func (f *ForgeCase) open(t *testing.T, transport func(*fakeforge.Server) http.RoundTripper) *Harness {
	t.Helper()
	s := fakeforge.Start(t, Callback)
	through := transport(s)
	c, err := f.Config(s, fakeforge.ClientSecret).Open(t.Context(), Env(through))
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
			return Redirect(ctx, redirecter, through)
		},
		Want: f.Want, Leave: s.Leave, Break: s.Close,
	}
}
