package ldap_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
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

// TestAttributesInAnyCase writes the names of attributes as the directory does not.
// TestOddGroupsLockNobodyOut: a user who may create groups in the directory can't keep others out.
func TestOddGroupsLockNobodyOut(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	odd := []string{"system:masters", "SYSTEM:Masters", " admins", "admins ", "ad\nmins", "admins\u200b", "\u202eadmins", "nul\u0000", strings.Repeat("x", 257), "\u00a0"}
	for i, name := range odd {
		d.Modify(fmt.Sprintf("dn: o=odd-%d,%s\nchangetype: add\nobjectClass: groupOfNames\no: odd-%[1]d\ncn:: %[3]s\nmember: uid=jane,%[4]s\n",
			i, slapd.GroupsDN, base64.StdEncoding.EncodeToString([]byte(name)), slapd.PeopleDN))
	}
	for _, memberOf := range []string{"", "memberOf"} {
		cfg := config(d)
		cfg.GroupSearch.MemberOfAttr = memberOf
		id, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
		if err != nil {
			t.Fatal(err)
		}
		_, resolved, err := connectors.ResolveIdentity(id, connectors.Prefixes{})
		if err != nil || !slices.Equal(resolved.Groups, []string{"platform"}) || len(resolved.LeftOut) != len(odd) {
			t.Errorf("groups %q, left out %+v, %v", resolved.Groups, resolved.LeftOut, err)
		}
	}
}

func TestAttributesInAnyCase(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	d.AddUser("mary")
	d.Join("mary", "platform")
	cfg := config(d)
	cfg.UserSearch.UsernameAttr, cfg.UserSearch.IDAttr, cfg.UserSearch.NameAttr, cfg.UserSearch.EmailAttr = "UID", "ENTRYUUID", "CN", "Mail"
	cfg.GroupSearch.NameAttr, cfg.GroupSearch.MemberAttr, cfg.GroupSearch.MemberOfAttr = "CN", "MEMBER", "MEMBEROF"
	id, err := open(t, cfg).Login(t.Context(), "mary", slapd.Password)
	id.Data = nil
	want := connectors.Identity{Subject: entryUUID(t, d, "mary"), Username: "mary", Name: "mary", Email: "mary@example.test", EmailVerified: true, Groups: []string{"platform"}}
	if diff := cmp.Diff(want, id); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	var directories sync.Map // harness → directory
	on := func(change func(d *slapd.Directory)) func(*connectortest.Harness) {
		return func(h *connectortest.Harness) {
			d, _ := directories.Load(h)
			change(d.(*slapd.Directory))
		}
	}
	connectortest.Outcomes(t, func(t *testing.T, _ *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		d := slapd.Start(t)
		d.AddUser("mary")
		cfg := config(d)
		cfg.UserSearch.IDAttr = "mail" // which an admin can give to a second entry
		c := open(t, cfg)
		h := &connectortest.Harness{Connector: c, SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return c.Login(ctx, "mary", slapd.Password)
		}}
		directories.Store(h, d)
		return h
	}, []connectortest.Answer{
		{Name: "entry deleted", Want: connectors.OutcomeDenied, Do: on(func(d *slapd.Directory) { d.DeleteUser("mary") })},
		{Name: "disabled (389 DS)", Want: connectors.OutcomeDenied, Do: on(func(d *slapd.Directory) { d.Replace("mary", "nsAccountLock", "TRUE") })},
		{Name: "expired (RFC 2307)", Want: connectors.OutcomeDenied, Do: on(func(d *slapd.Directory) { d.Replace("mary", "shadowExpire", "1") })},
		{Name: "locked after wrong passwords", Want: connectors.OutcomeSignInAgain, Do: on(func(d *slapd.Directory) { d.Replace("mary", "pwdAccountLockedTime", "20261122115900Z") })},
		{Name: "directory stopped", Want: connectors.OutcomeUnavailable, Do: on(func(d *slapd.Directory) { d.Stop() })},
		{Name: "service account's password changed", Want: connectors.OutcomeMisconfigured, Do: on(func(d *slapd.Directory) {
			d.Modify("dn: " + slapd.BindDN + "\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n")
		})},
		{Name: "two entries with the id", Want: connectors.OutcomeUnusableIdentity, Do: on(func(d *slapd.Directory) { d.Replace("bob", "mail", "mary@example.test") })},
	}, map[connectors.Outcome]string{connectors.OutcomeUnconfirmed: "the directory's id is always kept"})
}

// TestSizeLimits checks that a list which the directory has cut is an error, and that
// pages (RFC 2696) fetch more than its size limit where it allows that.
func TestSizeLimits(t *testing.T) {
	t.Parallel()
	const many = 600
	for name, tc := range map[string]struct {
		option string
		want   connectors.Outcome
		groups int
	}{
		"cut":                  {"sizelimit 50", connectors.OutcomeMisconfigured, 0},
		"cut, but only a page": {"sizelimit size=50 size.prtotal=unlimited", "", many + 1},
		"cut at another limit": {"sizelimit size=50 size.prtotal=100", connectors.OutcomeMisconfigured, 0},
		"no limit":             {"sizelimit unlimited", "", many + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := slapd.Start(t, tc.option)
			d.AddGroups(many, "jane")
			c := open(t, config(d))
			id, err := c.Login(t.Context(), "jane", slapd.Password)
			if got := outcome(err); got != tc.want || min(len(id.Groups), connectors.MaxGroups+1) != min(tc.groups, connectors.MaxGroups+1) {
				t.Fatalf("%d groups, %q (%v), want %q", len(id.Groups), got, err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "cut its answer") {
				t.Errorf("%v does not say why", err)
			}
			if _, err := c.Login(t.Context(), "bob", slapd.Password); err != nil {
				t.Errorf("a user with few groups: %v", err)
			}
		})
	}
}

func TestReferrals(t *testing.T) {
	t.Parallel()
	near, far := slapd.Start(t), slapd.Start(t)
	far.AddGroups(1, "jane")
	near.AddReferral("elsewhere", "ldap://"+far.Plain+"/"+slapd.GroupsDN+"??sub")
	authorities := near.CA + far.CA
	for name, tc := range map[string]struct {
		change func(*ldap.Config)
		want   []string
		fails  connectors.Outcome
	}{
		"not followed": {func(*ldap.Config) {}, []string{"platform"}, ""},
		"followed":     {func(c *ldap.Config) { c.FollowReferrals, c.CA = true, authorities }, []string{"platform", "team-0"}, ""},
		"followed to a server that is not trusted": {func(c *ldap.Config) { c.FollowReferrals = true }, nil, connectors.OutcomeMisconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(near)
			tc.change(cfg)
			id, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
			slices.Sort(id.Groups)
			if got := outcome(err); got != tc.fails || !slices.Equal(slices.Compact(id.Groups), tc.want) {
				t.Errorf("%q, %v, want %q", id.Groups, err, tc.want)
			}
		})
	}
	t.Run("a circle ends", func(t *testing.T) {
		t.Parallel()
		d := slapd.Start(t)
		d.AddReferral("myself", "ldap://"+d.Plain+"/"+slapd.GroupsDN+"??sub")
		cfg := config(d)
		cfg.FollowReferrals = true
		if _, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password); outcome(err) != connectors.OutcomeMisconfigured {
			t.Errorf("a circle of referrals: %v", err)
		}
	})
}

func TestNestedTooDeepIsSaid(t *testing.T) {
	t.Parallel()
	cfg := config(slapd.Start(t))
	cfg.GroupSearch.NestedDepth = 1
	id, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
	want := []connectors.LeftOutGroup{{Name: "everybody", Reason: "is nested below the depth of 1 that the settings allow"}}
	if err != nil || !slices.Equal(id.LeftOut, want) {
		t.Errorf("left out %q, %v, want %q", id.LeftOut, err, want)
	}
}

// TestPrimaryGroup gives a user the attributes of Active Directory.
func TestPrimaryGroup(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t)
	sid := func(last uint32) []byte { // S-1-5-21-1-2-3-last
		raw := []byte{1, 5, 0, 0, 0, 0, 0, 5}
		for _, n := range []uint32{21, 1, 2, 3, last} {
			raw = binary.LittleEndian.AppendUint32(raw, n)
		}
		return raw
	}
	for dn, raw := range map[string][]byte{"uid=jane," + slapd.PeopleDN: sid(1104), "cn=everybody," + slapd.GroupsDN: sid(513)} {
		d.Modify("dn: " + dn + "\nchangetype: modify\nadd: objectClass\nobjectClass: foreignAccount\n-\nreplace: objectSid\nobjectSid:: " + base64.StdEncoding.EncodeToString(raw) + "\n")
	}
	d.Replace("jane", "primaryGroupID", "513")
	for _, memberOf := range []string{"", "memberOf"} {
		cfg := config(d)
		cfg.GroupSearch.MemberOfAttr = memberOf
		id, err := open(t, cfg).Login(t.Context(), "jane", slapd.Password)
		slices.Sort(id.Groups)
		if err != nil || !slices.Equal(id.Groups, []string{"everybody", "platform"}) {
			t.Errorf("memberOf %q: %q, %v", memberOf, id.Groups, err)
		}
	}
}

// TestPasswordPolicy lets the directory itself refuse a password that was right.
func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	d := slapd.Start(t, "ppolicy_default "+slapd.PolicyDN, "ppolicy_use_lockout")
	d.AddPolicy("pwdMustChange: TRUE\npwdLockout: TRUE\npwdMaxFailure: 2")
	d.AddUser("mary")
	d.Replace("mary", "pwdReset", "TRUE")
	c := open(t, config(d))
	if _, err := c.Login(t.Context(), "mary", slapd.Password); outcome(err) != connectors.OutcomeSignInAgain || !strings.Contains(err.Error(), "new password") {
		t.Errorf("after a reset: %v", err)
	}
	for range 2 {
		if _, err := c.Login(t.Context(), "jane", "wrong"); outcome(err) != connectors.OutcomeBadCredentials {
			t.Errorf("a wrong password: %v", err)
		}
	}
	// OpenLDAP says that an account is locked only with this option.
	if _, err := c.Login(t.Context(), "jane", slapd.Password); outcome(err) != connectors.OutcomeSignInAgain || !strings.Contains(err.Error(), "locked the account") {
		t.Errorf("locked: %v", err)
	}
	id, err := c.Lookup(t.Context(), "jane")
	if err != nil || !strings.Contains(strings.Join(id.Notes, " "), "locked the account") {
		t.Errorf("the lookup of a locked account says %q, %v", id.Notes, err)
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
