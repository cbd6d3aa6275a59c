package authproxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/authproxy"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

const proof = "0123456789abcdef0123456789abcdef"

func open(t *testing.T, c authproxy.Config) connectors.Redirecter {
	t.Helper()
	c.ProxySecret = secret.NewValue(proof)
	opened, err := c.Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	return opened.(connectors.Redirecter)
}

// arrive is a request as it comes from the proxy, with more headers.
func arrive(ctx context.Context, c connectors.Redirecter, more ...string) (connectors.Identity, error) {
	address, kept, err := c.AuthURL(ctx, connectortest.Callback, "state-1")
	if err != nil {
		return connectors.Identity{}, err
	}
	r := httptest.NewRequest(http.MethodGet, address, http.NoBody).WithContext(ctx)
	for i := 0; i < len(more); i += 2 {
		r.Header.Add(more[i], more[i+1])
	}
	return c.Callback(ctx, connectortest.Callback, kept, r)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	c := open(t, authproxy.Config{Groups: []string{"everybody"}})
	got, err := arrive(t.Context(), c, authproxy.ProofHeader, proof, "X-Remote-User", "jane", "X-Remote-User-Id", "42", "X-Remote-User-Name", "Jane Doe",
		"X-Remote-User-Email", "jane@example.test", "X-Remote-Group", "platform, acme,,platform")
	want := connectors.Identity{
		Subject: "42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"acme", "everybody", "platform"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := c.(connectors.Refresher).Refresh(t.Context(), got); connectors.OutcomeOf(err) != connectors.OutcomeUnconfirmed {
		t.Errorf("a proxy can't be asked again: %v", err)
	}
	if bare, err := arrive(t.Context(), open(t, authproxy.Config{UserHeader: "X-User"}), authproxy.ProofHeader, proof, "X-User", "jane"); err != nil || bare.Subject != "jane" || bare.Groups != nil {
		t.Errorf("%+v, %v", bare, err)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, _ *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		c := open(t, authproxy.Config{})
		return &connectortest.Harness{Connector: c, SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return arrive(ctx, c, authproxy.ProofHeader, proof, "X-Remote-User", "jane")
		}}
	}, []connectortest.Answer{{Name: "no way to ask", Want: connectors.OutcomeUnconfirmed, Do: func(*connectortest.Harness) {}}}, map[connectors.Outcome]string{
		connectors.OutcomeDenied:           "nothing is asked at a renewal",
		connectors.OutcomeSignInAgain:      "nothing is asked at a renewal",
		connectors.OutcomeUnavailable:      "nothing is asked at a renewal",
		connectors.OutcomeMisconfigured:    "nothing is asked at a renewal",
		connectors.OutcomeUnusableIdentity: "nothing is asked at a renewal",
	})
}

// TestOnlyTheProxyIsBelieved: headers that another client could have sent sign no user in.
func TestOnlyTheProxyIsBelieved(t *testing.T) {
	t.Parallel()
	c := open(t, authproxy.Config{})
	for name, headers := range map[string][]string{
		"no secret":            {"X-Remote-User", "jane"},
		"wrong secret":         {authproxy.ProofHeader, "x" + proof, "X-Remote-User", "jane"},
		"a part of the secret": {authproxy.ProofHeader, proof[:16], "X-Remote-User", "jane"},
		"two secrets":          {authproxy.ProofHeader, proof, authproxy.ProofHeader, proof, "X-Remote-User", "jane"},
		"two users":            {authproxy.ProofHeader, proof, "X-Remote-User", "jane", "X-Remote-User", "root"},
		"two groups":           {authproxy.ProofHeader, proof, "X-Remote-User", "jane", "X-Remote-Group", "acme", "X-Remote-Group", "admins"},
		"no user":              {authproxy.ProofHeader, proof},
		"underscores":          {authproxy.ProofHeader, proof, "X_Remote_User", "jane"},
	} {
		if id, err := arrive(t.Context(), c, headers...); !errors.Is(err, connectors.ErrDenied) || strings.Contains(err.Error(), proof) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, authproxy.Type())
	for _, name := range []string{"Cookie", "x-fairlead-proxy-secret", "X Remote", "X_Remote_User", "X-Remote\r\nUser"} {
		c := &authproxy.Config{ProxySecret: secret.NewValue(proof), UserHeader: name}
		if problems := c.Validate(); len(problems) != 1 || problems[0].Field != "userHeader" {
			t.Errorf("%q: %+v", name, problems)
		}
	}
	short := &authproxy.Config{ProxySecret: secret.NewValue("short")}
	if _, err := short.Open(t.Context(), connectortest.Env(nil)); err == nil || len(short.Validate()) != 1 {
		t.Error("a short secret is taken")
	}
}
