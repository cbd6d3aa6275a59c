package ldap_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/ldap"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

func config(d *slapd.Directory) *ldap.Config {
	return &ldap.Config{
		Hosts: []string{d.Plain}, Security: ldap.SecurityStartTLS, CA: d.CA,
		BindDN: slapd.BindDN, BindPassword: secret.NewValue(slapd.BindPassword), TimeoutSeconds: 3,
		UserSearch:  ldap.UserSearch{BaseDN: slapd.PeopleDN, Filter: "(objectClass=inetOrgPerson)"},
		GroupSearch: ldap.GroupSearch{BaseDN: slapd.GroupsDN, Filter: "(objectClass=groupOfNames)"},
	}
}

func open(t *testing.T, cfg *ldap.Config) *ldap.Connector {
	t.Helper()
	c, err := cfg.Open(t.Context(), connectors.Env{ID: "corp", Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*ldap.Connector)
}

func entryUUID(t *testing.T, d *slapd.Directory, uid string) string {
	t.Helper()
	conn, err := goldap.DialURL("ldap://" + d.Plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(slapd.RootDN, slapd.RootPassword); err != nil {
		t.Fatal(err)
	}
	res, err := conn.Search(goldap.NewSearchRequest(slapd.PeopleDN, goldap.ScopeWholeSubtree, 0, 0, 0, false, "(uid="+uid+")", []string{"entryUUID"}, nil))
	if err != nil || len(res.Entries) != 1 {
		t.Fatalf("entry of %s: %v", uid, err)
	}
	return res.Entries[0].GetAttributeValue("entryUUID")
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		d := slapd.Start(t)
		c := open(t, config(d))
		return &connectortest.Harness{
			Connector: c,
			SignIn: func(ctx context.Context) (connectors.Identity, error) {
				return c.Login(ctx, "jane", slapd.Password)
			},
			Want: connectors.Identity{
				Subject: entryUUID(t, d, "jane"), Username: "jane", Name: "Jane Doe",
				Email: "jane@example.test", EmailVerified: true, Groups: []string{"platform"},
			},
			Leave: func() { d.DeleteUser("jane") },
			Break: d.Stop,
		}
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	for name, change := range map[string]func(*ldap.Config){
		"StartTLS": func(*ldap.Config) {},
		"LDAPS":    func(c *ldap.Config) { c.Security, c.Hosts = ldap.SecurityLDAPS, []string{d.Secure} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(d)
			change(cfg)
			connectortest.Passwords(t, open(t, cfg), "jane", slapd.Password)
		})
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	for _, c := range []struct {
		name, user string
		change     func(*ldap.GroupSearch)
		want       []string
	}{
		{"by member", "jane", func(*ldap.GroupSearch) {}, []string{"platform"}},
		{"nested once", "jane", func(g *ldap.GroupSearch) { g.NestedDepth = 1 }, []string{"developers", "platform"}},
		{"nested deep", "jane", func(g *ldap.GroupSearch) { g.NestedDepth = 5 }, []string{"developers", "everybody", "platform"}},
		{"groups in a circle", "bob", func(g *ldap.GroupSearch) { g.NestedDepth = 10 }, []string{"developers", "everybody", "loop-a", "loop-b"}},
		{"by memberOf", "jane", func(g *ldap.GroupSearch) { g.MemberOfAttr = "memberOf" }, []string{"platform"}},
		{"by memberOf, nested", "jane", func(g *ldap.GroupSearch) { g.MemberOfAttr, g.NestedDepth = "memberOf", 5 }, []string{"developers", "everybody", "platform"}},
		{"filtered", "jane", func(g *ldap.GroupSearch) { g.Filter = "(cn=x*)" }, nil},
		{"by memberOf, filtered", "jane", func(g *ldap.GroupSearch) { g.MemberOfAttr, g.Filter = "memberOf", "(cn=x*)" }, nil},
		{"by memberOf, outside the base", "jane", func(g *ldap.GroupSearch) { g.MemberOfAttr, g.BaseDN = "memberOf", slapd.PeopleDN }, nil},
		{"no group search", "jane", func(g *ldap.GroupSearch) { *g = ldap.GroupSearch{} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(d)
			c.change(&cfg.GroupSearch)
			id, err := open(t, cfg).Login(t.Context(), c.user, slapd.Password)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(id.Groups)
			if diff := cmp.Diff(c.want, id.Groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailOver(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := dead.Addr().String()
	dead.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	cfg := config(d)
	cfg.TimeoutSeconds = 1
	cfg.Hosts = []string{refusing, silent.Addr().String(), d.Plain}
	c := open(t, cfg)
	for range 2 { // the second time the good host is tried first
		if _, err := c.Login(t.Context(), "jane", slapd.Password); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWrongAuthorityIsRefused(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	other, err := pki.NewCA("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ security, host string }{{ldap.SecurityStartTLS, d.Plain}, {ldap.SecurityLDAPS, d.Secure}} {
		cfg := config(d)
		cfg.CA, cfg.Security, cfg.Hosts = string(other.PEM), c.security, []string{c.host}
		_, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
		if err == nil || errors.Is(err, connectors.ErrBadCredentials) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v, want a certificate fault", c.security, err)
		}
	}
}

func TestAWrongServiceAccountIsAnOutage(t *testing.T) {
	t.Parallel()
	cfg := config(slapd.Start(t))
	cfg.BindPassword = secret.NewValue("wrong")
	_, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
	if err == nil || errors.Is(err, connectors.ErrBadCredentials) || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("Login = %v: the person did nothing wrong", err)
	}
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is in the error: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := ldap.Config{Hosts: []string{"ldap.example.com"}, UserSearch: ldap.UserSearch{BaseDN: "dc=x"}}
	if problems := good.Validate(); len(problems) != 0 {
		t.Errorf("good settings: %v", problems)
	}
	bad := ldap.Config{
		Hosts: []string{"ldap://x", "ldap.example.com"}, Security: "none", CA: "x", BindDN: "cn=x",
		UserSearch: ldap.UserSearch{Filter: "objectClass=x"}, GroupSearch: ldap.GroupSearch{NestedDepth: 99},
	}
	var fields []string
	for _, p := range bad.Validate() {
		fields = append(fields, p.Field)
	}
	slices.Sort(fields)
	want := []string{
		"bindPassword", "ca", "groupSearch.nestedDepth", "hosts[0]", "security", "security", "userSearch.baseDN", "userSearch.filter",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// FuzzLogin checks that no name signs in or finds another account.
func FuzzLogin(f *testing.F) {
	d := slapd.Start(f)
	c, err := config(d).Open(context.Background(), connectors.Env{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	login := c.(*ldap.Connector)
	f.Add("jane")
	f.Add("*)(uid=*")
	f.Add("jane)(objectClass=*")
	f.Fuzz(func(t *testing.T, name string) {
		id, err := login.Login(t.Context(), name, slapd.Password)
		if err == nil && !strings.EqualFold(strings.TrimSpace(name), id.Username) {
			t.Errorf("%q signed in as %s", name, id.Username)
		}
	})
}
