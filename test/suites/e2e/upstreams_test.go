package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

// TestLDAP signs in through a real directory, over StartTLS and over LDAPS; a
// nested group decides; who leaves the group loses the cluster at the next
// renewal.
func TestLDAP(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	d := slapd.Start(t)
	address := freeAddress(t)
	s := prepare(t, p)
	writeFile(t, s.dir+"/ldap-ca.crt", d.CA)
	writeFile(t, s.dir+"/bind", slapd.BindPassword)
	connector := func(id, host, security string) string {
		return fmt.Sprintf(`
- id: %s
  type: ldap
  name: Directory by %[3]s
  groupPrefix: "corp:"
  config:
    hosts: ["%[2]s"]
    security: %[3]s
    ca: file:%[4]s/ldap-ca.crt
    bindDN: "%[5]s"
    bindPassword: file:%[4]s/bind
    userSearch: {baseDN: "%[6]s"}
    groupSearch: {baseDN: "%[7]s", filter: "(objectClass=groupOfNames)", nestedDepth: 3}
`, id, host, security, s.dir, slapd.BindDN, slapd.PeopleDN, slapd.GroupsDN)
	}
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "connectors:"+connector("corp", d.Plain, "starttls")+connector("corps", d.Secure, "ldaps")+
		"clusters:\n"+clusterEntry("a", address, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["corp:developers"]}, clusters: {ids: [a]}}
`)
	s.startKube(t, nil)
	s.startProxy(t, "a", address, "")

	people := map[string]*person{}
	for _, way := range []string{"starttls", "ldaps"} {
		me := s.person(t, credentials{Credentials: relyingparty.Credentials{Connector: "Directory by " + way, Username: "jane", Password: slapd.Password}})
		if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
			t.Fatalf("%s: %+v\n%s", way, r, me.browserFault())
		}
		if got := me.kubectl("get", "pods", "-n", "demo", "--context", "a"); !strings.Contains(got, "hello") {
			t.Errorf("%s: %s", way, got)
		}
		people[way] = me
	}

	// jane is in platform, which is in developers: that is what goes.
	d.EmptyGroup("platform")
	for way, me := range people {
		me.expireTokens()
		r := me.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a")
		if r.code == 0 || !strings.Contains(r.err, "no access rule") {
			t.Errorf("%s: after leaving the group: %+v", way, r)
		}
		if got := me.tabs(); got != 1 {
			t.Errorf("%s: %d tabs: a refusal is no reason to sign in again", way, got)
		}
	}
	// A user who has left the organization is told so.
	d.DeleteUser("jane")
	me := people["ldaps"]
	me.env = append(me.env, "CI=true")
	me.expireTokens()
	if r := me.run("", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a"); r.code != 3 || !strings.Contains(r.err, "denied access to this account") {
		t.Errorf("deleted account: %+v", r)
	}
}

// TestGitHub signs in through the stand-in; the team decides.
func TestGitHub(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	address := freeAddress(t)
	s := prepare(t, p)
	gh := fakegithub.Start(t, s.issuer+"/callback/github")
	gh.Set(fakegithub.Account{
		ID: 4711, Login: "jane", Name: "Jane Doe", Emails: []fakegithub.Email{{Email: "jane@example.test", Primary: true, Verified: true}},
		Orgs: []string{"acme"}, Teams: []string{"acme/platform"},
	})
	writeFile(t, s.dir+"/github-secret", fakegithub.ClientSecret)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), fmt.Sprintf(`
connectors:
- id: github
  type: github
  name: GitHub
  config: {clientID: %s, clientSecret: "file:%s/github-secret", host: "%s", orgs: [{name: acme}]}
clusters:
%s
rules:
- {id: platform, description: Platform team, who: {groups: ["github:acme:platform"]}, clusters: {ids: [a]}}
`, fakegithub.ClientID, s.dir, gh.URL, clusterEntry("a", address, s.dir)))
	s.startKube(t, nil)
	s.startProxy(t, "a", address, "")
	u, err := url.Parse(gh.URL)
	if err != nil {
		t.Fatal(err)
	}
	me := s.person(t, credentials{Elsewhere: u.Host})
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	if got := me.kubectl("auth", "whoami", "--context", "a"); !strings.Contains(got, "github:jane") || !strings.Contains(got, "github:acme:platform") {
		t.Errorf("whoami: %s", got)
	}
	me.kubectl("get", "pods", "-n", "demo", "--context", "a")

	// An outage of GitHub changes nothing …
	gh.Break(http.StatusBadGateway)
	me.expireTokens()
	me.kubectl("get", "pods", "-n", "demo", "--context", "a")
	gh.Break(0)
	// … leaving the team does.
	gh.Set(fakegithub.Account{ID: 4711, Login: "jane", Orgs: []string{"acme"}})
	me.expireTokens()
	if r := me.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "no access rule") {
		t.Errorf("after leaving the team: %+v", r)
	}
}
