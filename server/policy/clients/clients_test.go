package clients_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

func TestAllowsRedirect(t *testing.T) {
	t.Parallel()
	registered := []string{
		"http://localhost", "http://127.0.0.1/callback", "http://[::1]/callback", "https://app.example.test/cb",
		"https://app.example.test/q?a=1&b=2", "com.example.app:/cb",
	}
	for _, c := range []struct {
		uri                  string
		public, confidential bool
	}{
		{"http://localhost", true, true},
		{"http://localhost/", true, false},
		{"http://localhost:8000", true, false},
		{"http://localhost:18000/", true, false},
		{"http://127.0.0.1:49152/callback", true, false},
		{"http://[::1]:49152/callback", true, false},
		{"https://app.example.test/cb", true, true},
		{"https://app.example.test/q?a=1&b=2", true, true},
		{"com.example.app:/cb", true, true},

		{"", false, false},
		{"http://127.0.0.1:49152", false, false},
		{"http://127.0.0.1:49152/callback/", false, false},
		{"http://127.0.0.1:49152/callback?x=1", false, false},
		{"http://127.0.0.1:49152/callback#x", false, false},
		{"http://127.0.0.1:49152/callback?", false, false},
		{"http://127.0.0.1:49152/Callback", false, false},
		{"http://127.0.0.1:49152/%63allback", false, false},
		{"http://127.0.0.1:49152//callback", false, false},
		{"http://127.0.0.1:49152/x/../callback", false, false},
		{"http://127.0.0.1:/callback", false, false},
		{"http://127.0.0.1:080/callback", false, false},
		{"http://127.0.0.1:999999/callback", false, false},
		{"http://127.0.0.1:80@evil.test/callback", false, false},
		{"http://evil.test@127.0.0.1/callback", false, false},
		{"http://127.0.0.1.evil.test/callback", false, false},
		{"http://127.0.0.2:1/callback", false, false},
		{"http://127.1:1/callback", false, false},
		{"http://2130706433/callback", false, false},
		{"http://[::1%25eth0]:1/callback", false, false},
		{"http://[::ffff:127.0.0.1]:1/callback", false, false},
		{"https://127.0.0.1:49152/callback", false, false},
		{"HTTP://127.0.0.1:49152/callback", false, false},
		{"http://LOCALHOST:8000", false, false},
		{"http://localhost.:8000", false, false},
		{"http://localhost:8000/x", false, false},
		{"http://localhost:8000\\@evil.test", false, false},
		{"http:\\\\localhost:8000", false, false},
		{" http://localhost:8000", false, false},
		{"http://localhost:8000 ", false, false},
		{"http://localhost:8000\r\nX: y", false, false},
		{"//localhost:8000", false, false},
		{"https://app.example.test/cb/", false, false},
		{"https://app.example.test/cb?x=1", false, false},
		{"https://app.example.test:443/cb", false, false},
		{"https://app.example.test.evil.test/cb", false, false},
		{"https://app.example.test/q?b=2&a=1", false, false},
		{"javascript:alert(1)", false, false},
		{"com.example.app:/cb/../x", false, false},
	} {
		for _, public := range []bool{true, false} {
			want := c.confidential
			if public {
				want = c.public
			}
			client := &clients.Client{Public: public, RedirectURIs: registered}
			if got := client.AllowsRedirect(c.uri); got != want {
				t.Errorf("AllowsRedirect(%q), public %v = %v, want %v", c.uri, public, got, want)
			}
		}
	}
}

func FuzzAllowsRedirect(f *testing.F) {
	for _, seed := range []string{"http://localhost:8000", "http://127.0.0.1:1/callback", "http://[::1]:1/callback", "http://localhost@evil/"} {
		f.Add(seed)
	}
	client := &clients.Client{Public: true, RedirectURIs: []string{"http://localhost", "http://127.0.0.1/callback", "http://[::1]/callback"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if !client.AllowsRedirect(uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("accepted %q, which doesn't parse", uri)
		}
		addr, err := netip.ParseAddr(u.Hostname())
		if u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
			t.Errorf("accepted %q, host %q", uri, u.Hostname())
		}
		if u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.RawQuery != "" || strings.ContainsAny(uri, " \t\r\n\\") {
			t.Errorf("accepted %q", uri)
		}
	})
}

func TestRedirectOrigin(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"http://127.0.0.1:4000/callback": "http://127.0.0.1:4000",
		"https://a.test/x?y":             "https://a.test",
		"com.example.app:/cb":            "com.example.app:",
		"::":                             "",
	} {
		if got := clients.RedirectOrigin(uri); got != want {
			t.Errorf("RedirectOrigin(%q) = %q, want %q", uri, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	err := s.ApplyFile(t.Context(), store.Settings{
		Clusters: []store.Cluster{{ID: "prod", Name: "Prod", Audience: "k8s-prod"}},
		Clients: []store.Client{{
			ID: "grafana", SecretHashes: []string{secret.Hash("one"), secret.Hash("two")}, PKCEOptional: true,
		}, {ID: "app", Public: true, PKCEOptional: true, SecretHashes: []string{secret.Hash("one")}}},
	}, storeTime())
	if err != nil {
		t.Fatal(err)
	}
	r := clients.NewRegistry(s)
	find := func(id string) *clients.Client {
		t.Helper()
		c, err := r.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := find(clients.PluginID); !c.Public || !c.PKCERequired {
		t.Errorf("plugin %+v", c)
	}
	if c := find("k8s-prod"); !c.Public || !c.PKCERequired || c.Cluster.ID != "prod" {
		t.Errorf("cluster %+v", c)
	}
	fits := func(c *clients.Client, given string) bool {
		_, ok := c.MatchSecret(given, time.Now())
		return ok
	}
	if c := find("grafana"); c.PKCERequired || !fits(c, "one") || !fits(c, "two") || fits(c, "three") || fits(c, "") {
		t.Errorf("confidential client %+v", c)
	}
	if c := find("app"); !c.PKCERequired || fits(c, "one") {
		t.Errorf("public client %+v", c)
	}
	if _, err := r.Find(t.Context(), "nobody"); !errs.Is(err, errs.NotFound) {
		t.Errorf("error %v, want not found", err)
	}
}

func storeTime() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
