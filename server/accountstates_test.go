package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
	"github.com/fairlead-auth/fairlead/test/harness/slapd"
)

// serverWithDirectory is a provider with two upstreams: a real directory server and a fake GitHub. Every renewal
// asks them.
type serverWithDirectory struct {
	*testServer
	directory *slapd.Directory
	github    *fakegithub.Server
}

func startWithDirectory(t *testing.T) *serverWithDirectory {
	t.Helper()
	w := &serverWithDirectory{testServer: &testServer{
		clock: &clock{at: time.Now().Truncate(time.Second)}, store: storetest.SQLite(t), types: all.Types(password.NewHasher()), maxAge: -1,
	}, directory: slapd.Start(t)}
	w.github = fakegithub.Start(t, "http://127.0.0.1")
	file := store.Origin{Origin: store.OriginFile}
	apply(t, w.store, store.Settings{
		Connectors: []store.Connector{
			{Enabled: true, ID: "ldap", Type: "ldap", Name: "Directory", UserPrefix: "ldap:", GroupPrefix: "ldap:", Origin: file, Config: asJSON(t, map[string]any{
				"hosts": []string{w.directory.Plain}, "security": "starttls", "ca": w.directory.CA, "bindDN": slapd.BindDN, "bindPassword": slapd.BindPassword,
				"userSearch":  map[string]any{"baseDN": slapd.PeopleDN},
				"groupSearch": map[string]any{"baseDN": slapd.GroupsDN, "filter": "(objectClass=groupOfNames)", "nestedDepth": 3},
			})},
			{Enabled: true, ID: "github", Type: "github", Name: "GitHub", UserPrefix: "github:", GroupPrefix: "github:", Origin: file, Config: asJSON(t, map[string]any{
				"clientID": fakegithub.ClientID, "clientSecret": fakegithub.ClientSecret, "host": w.github.URL, "orgs": []any{map[string]any{"name": "acme"}},
			})},
		},
		Clusters: []store.Cluster{{ID: "a", Audience: "k8s-a", Algorithm: "ES256", TokenSeconds: 600, Server: "https://a.test", Origin: file}},
		Rules:    []store.AccessRule{{ID: "platform", GroupNames: store.Strings{"ldap:platform", "github:acme:platform"}, ClusterIDs: store.Strings{"a"}, Origin: file}},
	}, w.clock.now())
	w.serve(t, w.store)
	w.plugin = &relyingparty.Client{Issuer: w.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:4711/callback", Scope: "openid groups offline_access"}
	return w
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func (w *serverWithDirectory) viaLDAP(t *testing.T, uid string) relyingparty.Tokens {
	t.Helper()
	return w.plugin.SignIn(t, relyingparty.NewBrowser(t, w.issuer, nil), relyingparty.Credentials{Connector: "Directory", Username: uid, Password: slapd.Password})
}

func (w *serverWithDirectory) viaGitHub(t *testing.T, account fakegithub.Account) relyingparty.Tokens {
	t.Helper()
	w.github.Set(account)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	u, err := url.Parse(w.github.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.AlsoFollow = u.Host
	return w.plugin.SignIn(t, b, relyingparty.Credentials{Connector: "GitHub"})
}

// TestAccountStatesDenyAtTheNextRenewal covers thirteen states of an account, each in the system that has it. A
// renewal must then be denied.
func TestAccountStatesDenyAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	w := startWithDirectory(t)
	d := w.directory
	fileTime := strconv.FormatInt((time.Now().Add(-time.Minute).Unix()+11_644_473_600)*10_000_000, 10)
	yesterday := strconv.FormatInt(time.Now().Add(-24*time.Hour).Unix()/86400, 10)
	for i, tc := range []struct {
		name   string
		happen func(uid string)
		// cluster reports that only the access to the cluster ends, and not the session.
		cluster bool
	}{
		{"deleted", d.DeleteUser, false},
		{"disabled, Active Directory", func(uid string) { d.Replace(uid, "userAccountControl", "514") }, false},
		{"disabled, 389 and FreeIPA", func(uid string) { d.Replace(uid, "nsAccountLock", "true") }, false},
		{"locked, OpenLDAP", func(uid string) { d.Replace(uid, "pwdAccountLockedTime", "000001010000Z") }, false},
		{"expired, Active Directory", func(uid string) { d.Replace(uid, "accountExpires", fileTime) }, false},
		{"expired, shadow", func(uid string) { d.Replace(uid, "shadowExpire", yesterday) }, false},
		{"moved out of the base", func(uid string) {
			d.Modify(fmt.Sprintf("dn: uid=%s,%s\nchangetype: modrdn\nnewrdn: uid=%[1]s\ndeleteoldrdn: 1\nnewsuperior: ou=former,%[3]s\n", uid, slapd.PeopleDN, slapd.BaseDN))
		}, false},
		{"made again under the same name", func(uid string) { d.DeleteUser(uid); d.AddUser(uid) }, false},
		{"taken out of the group", func(string) { d.EmptyGroup("platform") }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			uid := fmt.Sprint("person", i)
			d.AddUser(uid)
			d.Join(uid, "platform")
			tokens := w.viaLDAP(t, uid)
			w.expectDenied(t, tokens, func() { tc.happen(uid) }, tc.cluster)
		})
	}
	for i, tc := range []struct {
		name    string
		happen  func(a fakegithub.Account)
		cluster bool
	}{
		{"suspended", func(a fakegithub.Account) { a.Suspended = true; w.github.Set(a) }, false},
		{"left the organisation", func(a fakegithub.Account) { a.Orgs, a.Teams = nil, nil; w.github.Set(a) }, false},
		{"left the team", func(a fakegithub.Account) { a.Teams = nil; w.github.Set(a) }, true},
		{"token revoked", func(fakegithub.Account) { w.github.RevokeTokens() }, false},
	} {
		t.Run("GitHub: "+tc.name, func(t *testing.T) {
			account := fakegithub.Account{ID: int64(100 + i), Login: fmt.Sprint("gh", i), Orgs: []string{"acme"}, Teams: []string{"acme/platform"}}
			tokens := w.viaGitHub(t, account)
			w.expectDenied(t, tokens, func() { tc.happen(account) }, tc.cluster)
		})
	}
}

// expectDenied renews a token before and after a change upstream.
func (w *serverWithDirectory) expectDenied(t *testing.T, tokens relyingparty.Tokens, happen func(), clusterOnly bool) {
	t.Helper()
	before := w.plugin.Refresh(t, tokens.RefreshToken)
	if before.Error != "" || w.plugin.Exchange(t, before.AccessToken, "k8s-a").Error != "" {
		t.Fatalf("before: %s", before.Raw)
	}
	happen()
	exchange := w.plugin.Exchange(t, before.AccessToken, "k8s-a")
	refresh := w.plugin.Refresh(t, before.RefreshToken)
	if clusterOnly {
		if exchange.Error != "invalid_target" || refresh.Error != "" {
			t.Errorf("exchange %s, refresh %s", exchange.Raw, refresh.Raw)
		}
		return
	}
	if exchange.Error != "invalid_grant" || refresh.Error != "invalid_grant" || exchange.Status != http.StatusBadRequest {
		t.Errorf("exchange %d %s, refresh %s", exchange.Status, exchange.Raw, refresh.Raw)
	}
	if events := w.events(t, audit.UpstreamRefused); len(events) == 0 {
		t.Error("not audited")
	}
}

// TestTheOutageBudgetIsKeptToTheSecond stops a real directory server. The user keeps access until the budget is
// over, and not a second longer.
func TestTheOutageBudgetIsKeptToTheSecond(t *testing.T) {
	t.Parallel()
	w := startWithDirectory(t)
	w.directory.AddUser("anna")
	w.directory.Join("anna", "platform")
	tokens := w.viaLDAP(t, "anna")
	began := w.clock.now()
	w.directory.Stop()
	refresh := func() relyingparty.Tokens {
		t.Helper()
		got := w.plugin.Refresh(t, tokens.RefreshToken)
		if got.Error == "" {
			tokens = got
		}
		return got
	}
	w.clock.add(time.Hour)
	if got := refresh(); got.Error != "" {
		t.Fatalf("at the last second: %s", got.Raw)
	}
	if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "" {
		t.Errorf("exchange at the last second: %s", got.Raw)
	}
	if w.clock.now().Sub(began) != time.Hour {
		t.Fatal("the clock moved")
	}
	w.clock.add(time.Second)
	got := refresh()
	if got.Error != "temporarily_unavailable" || got.Status != http.StatusServiceUnavailable || !strings.Contains(got.ErrorDescription, "too long") {
		t.Errorf("a second later: %d %s", got.Status, got.Raw)
	}
	reasons := map[string]int{}
	for _, e := range w.events(t, audit.UpstreamOutage) {
		reasons[e.Reason]++
	}
	if reasons["rights_kept"] == 0 || reasons["outage_budget_over"] != 1 {
		t.Errorf("events %v", reasons)
	}
}
