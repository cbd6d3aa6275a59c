package admin_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/fakes/fakecrowd"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
	"github.com/fairlead-auth/fairlead/test/fakes/fakekeystone"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/harness/forwardproxy"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

// update rewrites the table of faults.
var update = flag.Bool("update", false, "write the table of faults anew")

// broken is a connector with one fault, and how to test it.
type broken struct {
	kind, what string
	doc        form.Doc
	// lookup or login, when set, runs after the check of the settings.
	lookup          string
	login, password string
}

// proxy leads to fake upstreams in place of those with a fixed address.
var proxy forwardproxy.Proxy

func TestMain(m *testing.M) { os.Exit(forwardproxy.Run(m, &proxy)) }

// upstreams are the fake upstreams that cause the faults.
type upstreams struct {
	directory *slapd.Directory
	github    *fakegithub.Server
	oidc      *fakeoidc.Server
	forge     *fakeforge.Server
	saml, old *fakesaml.Provider
	crowd     *fakecrowd.Server
	keystone  *fakekeystone.Server
	silent    string
}

func startUpstreams(t *testing.T) *upstreams {
	t.Helper()
	const callback = "https://login.test/callback/corp"
	u := &upstreams{
		directory: slapd.Start(t), github: fakegithub.Start(t, callback), oidc: fakeoidc.Start(t), forge: fakeforge.Start(t, callback),
		crowd: fakecrowd.Start(t), keystone: fakekeystone.Start(t),
		saml: fakesaml.New(t, time.Now().AddDate(1, 0, 0)), old: fakesaml.New(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)),
	}
	google := fakeoidc.Start(t)
	google.Issuer = "https://accounts.google.com"
	proxy.Lead(google.Config.Handler, "accounts.google.com")
	proxy.Lead(u.forge.Config.Handler, "bitbucket.org", "www.linkedin.com")
	u.github.Set(fakegithub.Account{ID: 1, Login: "jane", Orgs: []string{"acme"}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	u.silent = ln.Addr().String()
	return u
}

// with returns a valid connector of a type with some settings changed.
func with(good map[string]any, kind string, change map[string]any) form.Doc {
	doc := form.Doc{"id": "corp", "type": kind, "config": map[string]any(form.Doc(good).Clone())}
	for key, value := range change {
		doc.Set("config."+key, value)
	}
	return doc
}

func (u *upstreams) faults() []broken {
	ldap := func(what string, change map[string]any) broken {
		return broken{kind: "LDAP", what: what, doc: with(map[string]any{
			"hosts": []any{u.directory.Plain}, "security": "starttls", "ca": u.directory.CA, "bindDN": slapd.BindDN, "bindPassword": slapd.BindPassword,
			"userSearch": map[string]any{"baseDN": slapd.PeopleDN}, "groupSearch": map[string]any{"baseDN": slapd.GroupsDN},
		}, "ldap", change)}
	}
	unknown, wrongPassword := ldap("lookup of an unknown user", nil), ldap("test sign-in with a wrong password", nil)
	unknown.lookup, wrongPassword.login, wrongPassword.password = "nobody", "jane", "wrong"
	list := []broken{
		ldap("no server", map[string]any{"hosts": nil}),
		ldap("an address with ldap://", map[string]any{"hosts": []any{"ldap://ldap.test"}}),
		ldap("host name misspelt", map[string]any{"hosts": []any{"ldap.invalid"}}),
		ldap("wrong port", map[string]any{"hosts": []any{"127.0.0.1:1"}}),
		ldap("a host that does not answer", map[string]any{"hosts": []any{u.silent}}),
		ldap("LDAPS at the port for StartTLS", map[string]any{"security": ""}),
		ldap("StartTLS at the port for LDAPS", map[string]any{"hosts": []any{u.directory.Secure}}),
		ldap("CA certificate missing", map[string]any{"ca": nil}),
		ldap("CA certificate is no PEM", map[string]any{"ca": "x"}),
		ldap("wrong bind password", map[string]any{"bindPassword": "wrong"}),
		ldap("wrong bind DN", map[string]any{"bindDN": "cn=nobody," + slapd.BaseDN}),
		ldap("bind DN that is no DN", map[string]any{"bindDN": "search"}),
		ldap("bind DN without a password", map[string]any{"bindPassword": nil}),
		ldap("base DN of users missing", map[string]any{"userSearch": map[string]any{}}),
		ldap("wrong base DN of users", map[string]any{"userSearch.baseDN": "ou=persons," + slapd.BaseDN}),
		ldap("user filter without a match", map[string]any{"userSearch.filter": "(objectClass=robot)"}),
		ldap("user filter without parentheses", map[string]any{"userSearch.filter": "objectClass=person"}),
		ldap("wrong user name attribute", map[string]any{"userSearch.usernameAttr": "sAMAccountName"}),
		ldap("wrong ID attribute", map[string]any{"userSearch.idAttr": "objectGUID"}),
		ldap("wrong base DN of groups", map[string]any{"groupSearch.baseDN": "ou=teams," + slapd.BaseDN}),
		ldap("group filter without a match", map[string]any{"groupSearch.filter": "(objectClass=group)"}),
		ldap("plain LDAP over the network", map[string]any{"security": "none", "hosts": []any{"ldap.example.com"}}),
		unknown, wrongPassword,
	}
	return slices.Concat(list, u.oauthFaults(), u.samlFaults(), u.passwordFaults())
}

func (u *upstreams) oauthFaults() []broken {
	add := func(kind, name, what string, good, change map[string]any) broken {
		return broken{kind: kind, what: what, doc: with(good, name, change)}
	}
	secret := map[string]any{"clientSecret": "wrong"}
	github := map[string]any{"clientID": fakegithub.ClientID, "clientSecret": fakegithub.ClientSecret, "host": u.github.URL, "orgs": []any{map[string]any{"name": "acme"}}}
	oidc := map[string]any{"issuer": u.oidc.URL, "clientID": fakeoidc.ClientID, "clientSecret": fakeoidc.ClientSecret}
	forge := func(more map[string]any) map[string]any {
		doc := map[string]any{"clientID": fakeforge.ClientID, "clientSecret": fakeforge.ClientSecret}
		maps.Copy(doc, more)
		return doc
	}
	base := forge(map[string]any{"baseURL": u.forge.URL})
	entra := forge(map[string]any{"tenant": "contoso", "apiURL": u.forge.URL, "graphURL": u.forge.URL})
	oauth := forge(map[string]any{"authorizationURL": u.forge.URL + "/authorize", "tokenURL": u.forge.URL + "/token", "userInfoURL": u.forge.URL + "/userinfo"})
	return []broken{
		add("GitHub", "github", "wrong client secret", github, secret),
		add("GitHub", "github", "an organization that is not there", github, map[string]any{"orgs": []any{map[string]any{"name": "acmee"}}}),
		add("GitHub", "github", "no organization", github, map[string]any{"orgs": nil}),
		add("GitHub", "github", "wrong host", github, map[string]any{"host": "http://127.0.0.1:1"}),
		add("GitHub", "github", "host with a path", github, map[string]any{"host": "https://github.example.com/api"}),
		add("OpenID Connect", "oidc", "wrong client secret", oidc, secret),
		add("OpenID Connect", "oidc", "issuer with a slash too many", oidc, map[string]any{"issuer": u.oidc.URL + "/"}),
		add("OpenID Connect", "oidc", "issuer with a wrong path", oidc, map[string]any{"issuer": u.oidc.URL + "/realms/nowhere"}),
		add("OpenID Connect", "oidc", "unreachable", oidc, map[string]any{"issuer": "https://127.0.0.1:1"}),
		add("OpenID Connect", "oidc", "issuer without https", oidc, map[string]any{"issuer": "http://idp.example.com"}),
		add("GitLab", "gitlab", "wrong secret", base, secret),
		add("GitLab", "gitlab", "wrong path in the address", base, map[string]any{"baseURL": u.forge.URL + "/gitlab"}),
		add("Gitea", "gitea", "wrong client secret", base, secret),
		add("Gitea", "gitea", "unreachable", base, map[string]any{"baseURL": "http://127.0.0.1:1"}),
		add("Microsoft", "microsoft", "the Secret ID instead of the Value", entra, secret),
		add("Microsoft", "microsoft", "no tenant", entra, map[string]any{"tenant": nil}),
		add("OAuth 2.0", "oauth", "wrong client secret", oauth, secret),
		add("OAuth 2.0", "oauth", "wrong token URL", oauth, map[string]any{"tokenURL": u.forge.URL + "/nowhere"}),
		add("Bitbucket", "bitbucket", "no workspace", forge(nil), nil),
		add("Bitbucket", "bitbucket", "wrong secret", forge(map[string]any{"teams": []any{"acme"}}), secret),
		add("Google", "google", "no hosted domain", forge(nil), nil),
		add("Google", "google", "wrong client secret", forge(map[string]any{"hostedDomains": []any{"example.com"}}), secret),
		add("LinkedIn", "linkedin", "wrong client secret", forge(nil), secret),
		add("OpenShift", "openshift", "wrong secret", forge(map[string]any{"issuer": u.forge.URL}), secret),
		add("OpenShift", "openshift", "an API server that is not OpenShift’s", forge(map[string]any{"issuer": u.oidc.URL}), nil),
	}
}

func (u *upstreams) passwordFaults() []broken {
	crowd := map[string]any{"baseURL": u.crowd.URL + "/crowd", "application": fakecrowd.Application, "password": fakecrowd.Password}
	keystone := map[string]any{"host": u.keystone.URL, "domain": "default", "username": fakekeystone.Service, "password": fakekeystone.ServicesWord}
	unknown := broken{kind: "Crowd", what: "lookup of an unknown user", doc: with(crowd, "crowd", nil), lookup: "nobody"}
	return []broken{
		{kind: "Crowd", what: "wrong application password", doc: with(crowd, "crowd", map[string]any{"password": "wrong"})},
		{kind: "Crowd", what: "URL without the context path", doc: with(crowd, "crowd", map[string]any{"baseURL": u.crowd.URL})},
		unknown,
		{kind: "Keystone", what: "wrong password of the service user", doc: with(keystone, "keystone", map[string]any{"password": "wrong"})},
		{kind: "Keystone", what: "wrong domain", doc: with(keystone, "keystone", map[string]any{"domain": "Customers"})},
		{kind: "Keystone", what: "URL with /v3", doc: with(keystone, "keystone", map[string]any{"host": u.keystone.URL + "/v3"})},
		{kind: "Reverse proxy", what: "a secret that can be guessed", doc: with(nil, "authproxy", map[string]any{"proxySecret": "secret"})},
	}
}

func (u *upstreams) samlFaults() []broken {
	good := map[string]any{"ssoURL": "http://127.0.0.1:1/sso", "ssoIssuer": fakesaml.Issuer, "certificates": u.saml.Certificate(), "usernameAttr": "name", "emailAttr": "email"}
	return []broken{
		{kind: "SAML", what: "SSO URL unreachable", doc: with(good, "saml", nil)},
		{kind: "SAML", what: "signing certificate has ended", doc: with(good, "saml", map[string]any{"certificates": u.old.Certificate(), "ssoURL": u.forge.URL + "/sso"})},
		{kind: "SAML", what: "no signing certificate", doc: with(good, "saml", map[string]any{"certificates": nil})},
		{kind: "SAML", what: "no issuer", doc: with(good, "saml", map[string]any{"ssoIssuer": nil})},
	}
}

// try returns what the page would show.
func (b *bundle) try(root admin.Caller, f broken) (cause, remedy string) {
	b.t.Helper()
	ctx := b.t.Context()
	findings, err := b.Check(ctx, root, admin.ConnectorDraft{Doc: f.doc})
	if refused, ok := errors.AsType[*admin.RefusedError](err); ok && len(refused.Problems) > 0 {
		p := refused.Problems[0]
		message, advice, _ := strings.Cut(strings.TrimSuffix(p.Message, ".")+".", ". ")
		return "The field " + strings.TrimPrefix(p.Field, "config.") + " " + strings.TrimSuffix(message, ".") + ".", advice
	}
	if err != nil {
		b.t.Fatalf("%s %s: %v", f.kind, f.what, err)
	}
	for _, found := range findings {
		if found.State == connectors.Failed {
			return found.Detail, found.Remedy
		}
	}
	if f.lookup != "" {
		found, err := b.Lookup(ctx, root, admin.ConnectorDraft{Doc: f.doc}, f.lookup)
		if err != nil {
			b.t.Fatal(err)
		}
		return found.Fault, found.Remedy
	}
	if f.login == "" {
		return "", ""
	}
	return b.trySignIn(root, f)
}

func (b *bundle) trySignIn(root admin.Caller, f broken) (cause, remedy string) {
	b.t.Helper()
	ctx := b.t.Context()
	id, err := b.BeginTest(ctx, root, admin.ConnectorDraft{Doc: f.doc})
	if err != nil {
		b.t.Fatal(err)
	}
	_, opened, err := b.OpenTestConnector(ctx, root, id)
	if err != nil {
		b.t.Fatal(err)
	}
	said, fault := opened.(connectors.Passworder).Login(ctx, f.login, f.password)
	if err := b.FinishTest(ctx, root, id, said, fault); err != nil {
		b.t.Fatal(err)
	}
	result, err := b.TestResult(ctx, root, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return result.Result.Fault, result.Result.Remedy
}

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// TestEveryFaultHasWords breaks connectors on purpose, one setting at a time. It compares
// docs/reference/connector-faults.md with what the pages say.
func TestEveryFaultHasWords(t *testing.T) {
	t.Parallel()
	u := startUpstreams(t)
	b := setup(t, storetest.SQLite(t))
	root := b.person("break-glass", "root")
	var out strings.Builder
	out.WriteString("# Errors of connectors\n\nThis page lists the errors that the admin pages show for a wrong setting or upstream. A test causes each fault and records the text: run `go test ./server/admin -update`.\n\n| connector | fault | error | remedy |\n| --- | --- | --- | --- |\n")
	list := u.faults()
	for _, f := range list {
		cause, remedy := b.try(root, f)
		if cause == "" || strings.Contains(cause, "goroutine") {
			t.Errorf("%s, %s: %q %q", f.kind, f.what, cause, remedy)
		}
		clean := func(text string) string { return port.ReplaceAllString(strings.ReplaceAll(text, "\n", " "), "HOST") }
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", f.kind, f.what, clean(cause), clean(remedy))
	}
	if len(list) < 40 {
		t.Errorf("%d faults, want 40", len(list))
	}
	const file = "../../docs/reference/connector-faults.md"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	events, err := b.store.FindEvents(t.Context(), storeQuery("connector.tested"))
	if err != nil || len(events) == 0 {
		t.Errorf("tests are not recorded: %v", err)
	}
	nothingKept(t, b)
}

func storeQuery(name string) store.EventQuery { return store.EventQuery{Name: name, Limit: 1} }

// nothingKept checks that a test creates no connector and no user.
func nothingKept(t *testing.T, b *bundle) {
	t.Helper()
	rows, err := b.store.Connectors(t.Context())
	if err != nil || len(rows) != 0 {
		t.Errorf("%d connectors were made: %v", len(rows), err)
	}
	people, _, err := b.store.FindUsers(t.Context(), store.UserQuery{Limit: 10})
	if err != nil || len(people) != 1 {
		t.Errorf("%d people, want the admin alone: %v", len(people), err)
	}
}
