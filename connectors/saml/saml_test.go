package saml_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

func config(p *fakesaml.Provider) *saml.Config {
	return &saml.Config{
		SSOURL: "https://idp.example.test/sso", SSOIssuer: fakesaml.Issuer, Certificates: p.Certificate(), UsernameAttr: "name", EmailAttr: "email", GroupsAttr: "groups",
	}
}

// memory remembers used keys, as the database does for all replicas.
func memory() func(context.Context, string, time.Time) (bool, error) {
	var used sync.Map
	return func(_ context.Context, key string, _ time.Time) (bool, error) {
		_, again := used.LoadOrStore(key, true)
		return !again, nil
	}
}

// begun is a sign-in on its way.
type begun struct {
	poster  connectors.Poster
	kept    []byte
	request string
}

func begin(t *testing.T, p *fakesaml.Provider) begun {
	t.Helper()
	return beginWith(t, config(p), connectortest.Env(nil))
}

func beginWith(t *testing.T, cfg *saml.Config, env connectors.Env) begun {
	t.Helper()
	c, err := cfg.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	poster, ok := c.(connectors.Poster)
	if !ok {
		t.Fatal("it does not post")
	}
	form, err := poster.AuthForm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if form.Action != "https://idp.example.test/sso" {
		t.Fatalf("the form goes to %s", form.Action)
	}
	return begun{poster: poster, kept: form.Kept, request: fakesaml.RequestID(t, form.Fields["SAMLRequest"])}
}

func (b begun) answer(t *testing.T, response *etree.Element) (connectors.Identity, error) {
	t.Helper()
	return b.post(t, fakesaml.Encode(t, response))
}

func (b begun) post(t *testing.T, encoded string) (connectors.Identity, error) {
	t.Helper()
	return b.poster.Answer(t.Context(), b.kept, url.Values{"SAMLResponse": {encoded}})
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	want := connectors.Identity{Subject: "id-42", Username: "jane", Name: "jane", Email: "jane@example.test", Groups: []string{"developers", "platform"}}
	for name, build := range map[string]func(fakesaml.Answer) *etree.Element{
		"assertion signed": func(a fakesaml.Answer) *etree.Element { return a.Response(p.Sign(t, a.Assertion("_a"))) },
		"response signed":  func(a fakesaml.Answer) *etree.Element { return p.Sign(t, a.Response(a.Assertion("_a"))) },
		"both signed":      func(a fakesaml.Answer) *etree.Element { return p.Sign(t, a.Response(p.Sign(t, a.Assertion("_a")))) },
	} {
		b := begin(t, p)
		got, err := b.answer(t, build(fakesaml.Jane(b.request, connectortest.Callback, time.Now())))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCheckLooksAtTheCertificate(t *testing.T) {
	t.Parallel()
	old := config(fakesaml.New(t, time.Now().AddDate(0, 0, -1)))
	old.SSOURL = "http://127.0.0.1:1/sso"
	found := false
	for _, f := range old.Check(t.Context(), connectortest.Env(nil)) {
		found = found || f.State == connectors.Failed && strings.Contains(f.Detail, "ended on") && f.Remedy != ""
	}
	if !found {
		t.Error("an ended certificate passed")
	}
	connectortest.Form(t, saml.Type())
}

func TestSettingsHaveProblems(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for name, c := range map[string]struct {
		change func(*saml.Config)
		field  string
	}{
		"no certificate":                       {func(c *saml.Config) { c.Certificates = "" }, "certificates"},
		"a certificate that is none":           {func(c *saml.Config) { c.Certificates = "MIIC" }, "certificates"},
		"a key among the certificates":         {func(c *saml.Config) { c.Certificates = p.KeyPair() }, "certificates"},
		"a key pair that is none":              {func(c *saml.Config) { c.KeyPair = secret.NewValue("x") }, "keyPair"},
		"a certificate without a key":          {func(c *saml.Config) { c.KeyPair = secret.NewValue(p.Certificate()) }, "keyPair"},
		"the address as the user name":         {func(c *saml.Config) { c.UsernameAttr = "mail" }, "usernameAttr"},
		"allowed groups without groups":        {func(c *saml.Config) { c.GroupsAttr, c.AllowedGroups = "", []string{"a"} }, "groupsAttr"},
		"a transient NameID":                   {func(c *saml.Config) { c.NameIDFormat = "transient" }, "nameIDFormat"},
		"no user name attribute":               {func(c *saml.Config) { c.UsernameAttr = "" }, "usernameAttr"},
		"verified addresses may be user names": {func(c *saml.Config) { c.UsernameAttr, c.ProviderVerifiesEmail = "mail", true }, ""},
		"no mail and no groups":                {func(c *saml.Config) { c.EmailAttr, c.GroupsAttr = "", "" }, ""},
	} {
		cfg := config(p)
		c.change(cfg)
		fields := ""
		for _, problem := range cfg.Validate() {
			fields += problem.Field
		}
		if fields != c.field {
			t.Errorf("%s: problems with %q, want %q", name, fields, c.field)
		}
	}
}

// TestOutcomes: SAML can't ask again, so a renewal has one outcome.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	const never = "SAML has no way to ask about a user again; a sign-in has this outcome (TestStatusCodes)"
	impossible := map[connectors.Outcome]string{}
	for _, o := range []connectors.Outcome{connectors.OutcomeDenied, connectors.OutcomeSignInAgain, connectors.OutcomeUnavailable, connectors.OutcomeMisconfigured, connectors.OutcomeUnusableIdentity} {
		impossible[o] = never
	}
	connectortest.Outcomes(t, func(t *testing.T, _ *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		b := begin(t, p)
		return &connectortest.Harness{Connector: b.poster, SignIn: func(context.Context) (connectors.Identity, error) {
			a := fakesaml.Jane(b.request, connectortest.Callback, time.Now())
			return b.answer(t, a.Response(p.Sign(t, a.Assertion("_a"))))
		}}
	}, []connectortest.Answer{{Name: "nothing to ask with", Want: connectors.OutcomeUnconfirmed, Do: func(*connectortest.Harness) {}}}, impossible)
}
