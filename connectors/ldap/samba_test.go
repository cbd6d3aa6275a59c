//go:build linux

package ldap_test

import (
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/ldap"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/harness/sambaad"
)

// activeDirectory is what the preset "Active Directory" sets, on the whole domain.
func activeDirectory(dc *sambaad.Controller) *ldap.Config {
	return &ldap.Config{
		Hosts: []string{dc.Secure}, CA: dc.CA, TimeoutSeconds: 3,
		BindDN: sambaad.ServiceName, BindPassword: secret.NewValue(sambaad.Password),
		UserSearch: ldap.UserSearch{
			BaseDN: sambaad.BaseDN, Filter: "(&(objectCategory=person)(objectClass=user))",
			UsernameAttr: "sAMAccountName", IDAttr: "objectGUID", NameAttr: "displayName",
		},
		GroupSearch: ldap.GroupSearch{BaseDN: sambaad.BaseDN, Filter: "(objectClass=group)", NestedDepth: 5},
	}
}

const oddGroup = `Ops, Berlin (EU) #1 "*" \ <a> ü`

// TestActiveDirectory signs in at a real domain controller, which all its parts share.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := sambaad.Start(t)
	for _, name := range []string{"jane", "o'brien", "jörg", "mary", "paul"} {
		dc.AddUser(name)
	}
	dc.AddGroup("Developers", "devs", sambaad.UserDN("jane"))
	dc.AddGroup("Platform", "platform", sambaad.GroupDN("Developers"))
	dc.AddGroup(oddGroup, "odd", sambaad.GroupDN("Platform"), sambaad.UserDN("jörg"))
	dc.AddGroup("Loop", "loop", sambaad.UserDN("o'brien"))
	dc.AddGroup("Back", "back", sambaad.GroupDN("Loop"))
	dc.Replace(sambaad.GroupDN("Loop"), "member", sambaad.UserDN("o'brien"), sambaad.GroupDN("Back"))
	for name, part := range map[string]func(*testing.T, *sambaad.Controller){
		"connections": adConnections, "groups": adGroups, "names": adNames, "refused accounts": adRefusals, "changes": adChanges, "check": adCheck,
	} {
		t.Run(name, func(t *testing.T) { part(t, dc) })
	}
}

func adConnections(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	for name, tc := range map[string]struct {
		security, host string
		want           connectors.Outcome
	}{
		"LDAPS":           {ldap.SecurityLDAPS, dc.Secure, ""},
		"StartTLS":        {ldap.SecurityStartTLS, dc.Plain, ""},
		"not protected":   {ldap.SecurityNone, dc.Plain, connectors.OutcomeMisconfigured},
		"the wrong ports": {ldap.SecurityLDAPS, dc.Plain, connectors.OutcomeUnavailable},
	} {
		cfg := activeDirectory(dc)
		cfg.Security, cfg.Hosts = tc.security, []string{tc.host}
		if _, err := open(t, cfg).Login(t.Context(), "jane", sambaad.Password); outcome(err) != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	cfg := activeDirectory(dc)
	connectortest.Passwords(t, open(t, cfg), "jane", sambaad.Password)
	cfg.BindPassword = secret.NewValue("wrong")
	if _, err := open(t, cfg).Login(t.Context(), "jane", sambaad.Password); outcome(err) != connectors.OutcomeMisconfigured || !strings.Contains(err.Error(), "wrong password") {
		t.Errorf("a wrong password of the service account: %v", err)
	}
}

func adGroups(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	for name, tc := range map[string]struct {
		user   string
		change func(*ldap.Config)
		want   []string
	}{
		"nested":                 {"jane", func(*ldap.Config) {}, []string{"Developers", "Domain Users", oddGroup, "Platform", "Users"}},
		"nested, by memberOf":    {"jane", func(c *ldap.Config) { c.GroupSearch.MemberOfAttr = "memberOf" }, []string{"Developers", "Domain Users", oddGroup, "Platform", "Users"}},
		"not nested":             {"jane", func(c *ldap.Config) { c.GroupSearch.NestedDepth = 0 }, []string{"Developers", "Domain Users"}},
		"below another base DN":  {"jane", func(c *ldap.Config) { c.GroupSearch.BaseDN = sambaad.GroupsDN }, []string{"Developers", oddGroup, "Platform"}},
		"by account name":        {"jörg", func(c *ldap.Config) { c.GroupSearch.NameAttr = "sAMAccountName" }, []string{"Domain Users", "Users", "odd"}},
		"in a circle":            {"o'brien", func(*ldap.Config) {}, []string{"Back", "Domain Users", "Loop", "Users"}},
		"security groups only":   {"jane", func(c *ldap.Config) { c.GroupSearch.Filter = "(groupType:1.2.840.113556.1.4.803:=2147483648)" }, []string{"Developers", "Domain Users", oddGroup, "Platform", "Users"}},
		"referrals are followed": {"jane", func(c *ldap.Config) { c.FollowReferrals = true }, []string{"Developers", "Domain Users", oddGroup, "Platform", "Users"}},
		"only members of a group, at any depth": {"jane", func(c *ldap.Config) {
			c.UserSearch.Filter = `(memberOf:1.2.840.113556.1.4.1941:=CN=Platform,` + sambaad.GroupsDN + `)`
		}, []string{"Developers", "Domain Users", oddGroup, "Platform", "Users"}},
	} {
		cfg := activeDirectory(dc)
		tc.change(cfg)
		id, err := open(t, cfg).Login(t.Context(), tc.user, sambaad.Password)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		slices.Sort(id.Groups)
		slices.Sort(tc.want)
		if diff := cmp.Diff(tc.want, id.Groups); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	cfg := activeDirectory(dc)
	cfg.UserSearch.Filter = `(memberOf:1.2.840.113556.1.4.1941:=CN=Platform,` + sambaad.GroupsDN + `)`
	if _, err := open(t, cfg).Login(t.Context(), "jörg", sambaad.Password); outcome(err) != connectors.OutcomeBadCredentials {
		t.Errorf("a user who is not in the group: %v", err)
	}
}

func adNames(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	for _, tc := range []struct{ attribute, typed, want string }{
		{"sAMAccountName", "jane", "jane"},
		{"sAMAccountName", "JANE", "jane"},
		{"sAMAccountName", "o'brien", "o'brien"},
		{"sAMAccountName", "jörg", "jörg"},
		{"SAMACCOUNTNAME", "jane", "jane"},
		{"userPrincipalName", "jane@" + sambaad.Realm, "jane@" + sambaad.Realm},
		{"userPrincipalName", "Jane@CORP.example.test", "jane@" + sambaad.Realm},
		{"mail", "jane@example.test", "jane@example.test"},
	} {
		cfg := activeDirectory(dc)
		cfg.UserSearch.UsernameAttr, cfg.UserSearch.IDAttr = tc.attribute, "OBJECTGUID"
		id, err := open(t, cfg).Login(t.Context(), tc.typed, sambaad.Password)
		if err != nil || id.Username != tc.want {
			t.Errorf("%s %q: %q, %v, want %q", tc.attribute, tc.typed, id.Username, err, tc.want)
		}
		if want := hex.EncodeToString(dc.Read(sambaad.UserDN(strings.SplitN(tc.want, "@", 2)[0]), "objectGUID")); id.Subject != want {
			t.Errorf("%s %q: the subject is %q, want objectGUID %q", tc.attribute, tc.typed, id.Subject, want)
		}
	}
}

// adRefusals changes an account after it has signed in, and asks for it both ways.
func adRefusals(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	dc.Replace(sambaad.BaseDN, "lockoutThreshold", "3")
	c := open(t, activeDirectory(dc))
	attribute := func(name, value string) func(string) {
		return func(user string) { dc.Replace(sambaad.UserDN(user), name, value) }
	}
	for name, tc := range map[string]struct {
		do             func(user string)
		login, renewal connectors.Outcome
		says           string
	}{
		"disabled": {attribute("userAccountControl", "514"), connectors.OutcomeDenied, connectors.OutcomeDenied, "disabled"},
		"expired":  {attribute("accountExpires", "133000000000000000"), connectors.OutcomeDenied, connectors.OutcomeDenied, "expired"},
		"deleted":  {func(user string) { dc.Delete(sambaad.UserDN(user)) }, connectors.OutcomeBadCredentials, connectors.OutcomeDenied, ""},
		"locked": {func(user string) {
			for range 3 {
				_, _ = c.Login(t.Context(), user, "wrong")
			}
		}, connectors.OutcomeSignInAgain, connectors.OutcomeSignInAgain, "locked the account"},
		"password must change":  {attribute("pwdLastSet", "0"), connectors.OutcomeSignInAgain, "", "new password"},
		"outside logon hours":   {attribute("logonHours", strings.Repeat("\x00", 21)), connectors.OutcomeSignInAgain, "", "at this time"},
		"another computer only": {attribute("userWorkstations", "PC1"), connectors.OutcomeSignInAgain, "", "from Fairlead's server"},
	} {
		user := strings.ReplaceAll(name, " ", "-")
		user = user[:min(len(user), 20)]
		dc.AddUser(user)
		last, err := c.Login(t.Context(), user, sambaad.Password)
		if err != nil {
			t.Errorf("%s, before: %v", name, err)
			continue
		}
		tc.do(user)
		if _, err := c.Login(t.Context(), user, sambaad.Password); outcome(err) != tc.login || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s, sign-in: %v, want %q", name, err, tc.login)
		}
		if _, err := c.Refresh(t.Context(), last); outcome(err) != tc.renewal || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s, renewal: %v, want %q", name, err, tc.renewal)
		}
	}
}

// adChanges renames users, which keeps the account, and gives a name to another
// account, which does not.
func adChanges(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	c := open(t, activeDirectory(dc))
	before, err := c.Login(t.Context(), "mary", sambaad.Password)
	if err != nil {
		t.Fatal(err)
	}
	dc.Replace(sambaad.UserDN("mary"), "sAMAccountName", "mary.new")
	dc.Replace(sambaad.UserDN("mary"), "userPrincipalName", "mary.new@"+sambaad.Realm)
	dc.Rename(sambaad.UserDN("mary"), "Mary, Newname")
	after, err := c.Refresh(t.Context(), before)
	if err != nil || after.Subject != before.Subject || after.Username != "mary.new" {
		t.Errorf("after the renaming: %q with the subject %q, %v, want mary.new with %q", after.Username, after.Subject, err, before.Subject)
	}
	again, err := c.Login(t.Context(), "mary.new", sambaad.Password)
	if err != nil || again.Subject != before.Subject {
		t.Errorf("a sign-in after the renaming: the subject is %q, %v", again.Subject, err)
	}
	dc.AddUser("mary")
	other, err := c.Login(t.Context(), "mary", sambaad.Password)
	if err != nil || other.Subject == before.Subject {
		t.Errorf("another user of the old name: the subject is %q, %v", other.Subject, err)
	}
}

// adCheck looks at the domain as the admin pages do.
func adCheck(t *testing.T, dc *sambaad.Controller) {
	t.Helper()
	cfg := activeDirectory(dc)
	for _, finding := range cfg.Check(t.Context(), connectors.Env{ID: "corp", Now: time.Now, Logger: slog.New(slog.DiscardHandler)}) {
		if finding.State != connectors.Passed {
			t.Errorf("%s: %s %s", finding.Step, finding.Detail, finding.Remedy)
		}
	}
	found, err := open(t, cfg).Lookup(t.Context(), "jane")
	if err != nil || len(found.Notes) != 0 || !slices.Contains(found.Identity.Groups, "Platform") {
		t.Errorf("the lookup says %q with the groups %q, %v", found.Notes, found.Identity.Groups, err)
	}
	if guid := hex.EncodeToString(dc.Read(sambaad.UserDN("jane"), "objectGUID")); !slices.Equal(found.Attributes["objectGUID"], []string{guid}) {
		t.Errorf("the lookup shows the objectGUID %q, want %q", found.Attributes["objectGUID"], guid)
	}
}
