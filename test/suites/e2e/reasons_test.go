package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestRefusedWithAReason ends the access of a user in every way that there is. Each time the last
// lines of kubectl say which, and what to do; and so does the page.
func TestRefusedWithAReason(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	gh := fakegithub.Start(t, s.issuer+"/callback/github")
	account := fakegithub.Account{
		ID: 4711, Login: "jane", Name: "Jane Doe", Emails: []fakegithub.Email{{Email: "jane@example.test", Primary: true, Verified: true}},
		Orgs: []string{"acme"}, Teams: []string{"acme/platform"},
	}
	gh.Set(account)
	writeFile(t, s.dir+"/github-secret", fakegithub.ClientSecret)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), fmt.Sprintf(`sessions: {idle: 12h}
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
	for name, way := range map[string]struct {
		// before, if set, is done before signing in.
		before, end, mend func()
		// last are the plugin's last lines, page what a browser shows; nothing where that is
		// the upstream's own, or the sign-in page.
		last, page string
		code       int
	}{
		"the session has expired": {
			before: func() { s.restart(t, "{idle: 12h}", "{idle: 2s}") }, end: func() { s.restart(t, "{idle: 2s}", "{idle: 12h}") }, mend: func() {},
			last: "The session has reached its time limit. Sign in again.\nRun: kubectl fairlead login " + s.issuer, code: 3,
		},
		"the account is disabled": {
			end:  func() { s.operate(t, "user", "disable", "github:jane") },
			mend: func() { s.operate(t, "user", "enable", "github:jane") },
			last: "The account github:jane is disabled. Ask an admin to enable it.\nRun: kubectl fairlead login ", page: "The account github:jane is disabled. Ask an admin to enable it.", code: 3,
		},
		"the rule is gone": {
			end:  func() { s.change(t, "github:acme:platform", "github:acme:other") },
			mend: func() { s.change(t, "github:acme:other", "github:acme:platform") },
			last: "You are signed in as github:jane, but no access rule lets you use the cluster a. Ask an admin for access, or choose one of your clusters: " + s.issuer + "/", page: "You cannot use any cluster yet", code: 4,
		},
		"the connector says no": {
			end:  func() { gh.Set(fakegithub.Account{ID: 4711, Login: "jane", Name: "Jane Doe", Emails: account.Emails}) },
			mend: func() { gh.Set(account) },
			last: "GitHub denied access to this account. The account is in none of the organizations and teams that may sign in. Ask an admin to add it to one of them. Sign in again afterwards.\nRun: kubectl fairlead login ",
			page: "GitHub denied access to this account. The account is in none of the organizations and teams that may sign in.", code: 3,
		},
		"the outage lasts too long": {
			end: func() {
				s.restart(t, "{maxAge: 1ms}", "{maxAge: 1ms, outageBudget: 1ms}")
				gh.Break(http.StatusBadGateway)
			},
			mend: func() {
				s.restart(t, "{maxAge: 1ms, outageBudget: 1ms}", "{maxAge: 1ms}")
				gh.Break(0)
			},
			last: "has not answered for too long, so your account can't be confirmed. Try again when it is back.", code: 1,
		},
	} {
		if way.before != nil {
			way.before()
		}
		me := s.person(t, credentials{Elsewhere: u.Host})
		if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
			t.Fatalf("%s: %+v\n%s", name, r, me.browserFault())
		}
		me.env = append(me.env, "CI=true") // as for a program that can't ask: the reason must be in the text
		way.end()
		time.Sleep(2500 * time.Millisecond) // an idle session of a second; and rules are kept in memory for two
		me.expireTokens()
		exit := fmt.Sprintf("failed with exit code %d", way.code)
		if r := me.run("", "kubectl", "get", "pods", "--context", "a"); r.code == 0 || !strings.Contains(r.err, way.last) || !strings.Contains(r.err, exit) {
			t.Errorf("%s: kubectl says:\n%s\nwant:\n%s … %s", name, r.err, way.last, exit)
		}
		if way.page != "" {
			b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
			b.AlsoFollow = u.Host
			if page := b.SignIn(s.issuer+"/", relyingparty.Credentials{}); !strings.Contains(page.Text, way.page) {
				t.Errorf("%s: the page says: %s", name, page.Text)
			}
		}
		way.mend()
	}
}

// change changes the configuration and waits until the server has it.
func (s *system) change(t *testing.T, from, to string) {
	t.Helper()
	loads := strings.Count(s.server.String(), `"settings.loaded"`)
	s.edit(t, from, to)
	eventually(t, "the new configuration", 20*time.Second, func() bool { return strings.Count(s.server.String(), `"settings.loaded"`) > loads })
}

// restart changes what takes effect at a start only.
func (s *system) restart(t *testing.T, from, to string) {
	t.Helper()
	s.server.kill()
	s.edit(t, from, to)
	s.server = start(t, s.bin+"/fairlead", nil, "serve", "--config", s.dir+"/fairlead.yaml")
	s.waitReady(t)
}

func (s *system) edit(t *testing.T, from, to string) {
	t.Helper()
	file := s.dir + "/fairlead.yaml"
	before := readFile(t, file)
	after := strings.Replace(before, from, to, 1)
	if before == after {
		t.Fatalf("%s has no %s", file, from)
	}
	writeFile(t, file, after)
}
