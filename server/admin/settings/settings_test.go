package settings_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

func reader() *settings.Reader {
	return &settings.Reader{Types: all.Types(password.NewHasher()), URL: "https://login.test"}
}

func page(doc form.Doc, id string) settings.Entry {
	return settings.Entry{ID: id, Doc: doc, Origin: store.Origin{Origin: store.OriginPage}}
}

func full() settings.Docs {
	return settings.Docs{
		settings.Connectors: {page(form.Doc{
			"id": "corp", "type": "ldap", "name": "Corp", "enabled": false, "note": "n", "groupPrefix": "c:",
			"config": map[string]any{"hosts": []any{"ldap.test"}, "bindDN": "cn=x", "bindPassword": "canary", "userSearch": map[string]any{"baseDN": "dc=test"}},
		}, "corp"), page(form.Doc{"id": "local", "type": "local", "name": "Local users"}, "local")},
		settings.LocalUsers: {page(form.Doc{"login": "jane", "name": "Jane", "groups": []any{"a"}}, "jane")},
		settings.Clusters: {page(form.Doc{
			"id": "one", "name": "One", "server": "https://one.test", "mode": "direct", "labels": map[string]any{"env": "prod"}, "tokenLife": "15m", "color": "red", "notes": "x",
		}, "one")},
		settings.Rules: {page(form.Doc{
			"id": "r", "description": "R", "who": map[string]any{"groups": []any{"c:a"}, "domains": []any{"example.com"}}, "clusters": map[string]any{"labels": map[string]any{"env": "prod"}},
		}, "r"), page(form.Doc{"id": "adm", "description": "A", "admin": true, "who": map[string]any{"users": []any{"c:root"}}}, "adm")},
		settings.Clients: {page(form.Doc{
			"id": "web", "name": "Web", "redirectURIs": []any{"https://web.test/cb"}, "grants": []any{"authorization_code", "device_code"}, "secretHashes": []any{"abc"}, "firstParty": true,
		}, "web")},
		settings.Issuers:   {page(form.Doc{"id": "ci", "url": "https://ci.test", "audience": "https://login.test"}, "ci")},
		settings.Workloads: {page(form.Doc{"id": "deploy", "description": "D", "issuer": "ci", "claims": map[string]any{"ref": []any{"main", "dev"}}, "groups": []any{"g"}}, "deploy")},
	}
}

// plain makes documents comparable: JSON has one type of number and list.
func plain(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRoundTrip converts documents to rows and back.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	set, faults := reader().Read(full())
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	again := settings.Documents(set)
	delete(again, settings.General) // which is always there
	if diff := cmp.Diff(plain(t, full()), plain(t, again)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryFieldIsAKey checks that forms and the configuration file have the same fields.
func TestEveryFieldIsAKey(t *testing.T) {
	t.Parallel()
	for kind, entries := range full() {
		doc := entries[0].Doc
		keys := map[string]bool{}
		for _, f := range settings.Fields(kind, all.Types(password.NewHasher()), doc) {
			if keys[f.Key] {
				t.Errorf("%s has %s twice", kind, f.Key)
			}
			keys[f.Key] = true
			if f.Label == "" || f.Kind == "" {
				t.Errorf("%s: %+v", kind, f)
			}
		}
		for key := range doc {
			known := key == "type" || key == "config" || key == "enabled" || key == "secretHashes"
			for field := range keys {
				known = known || field == key || strings.HasPrefix(field, key+".")
			}
			if !known {
				t.Errorf("%s: %s is in no form", kind, key)
			}
		}
	}
}

func TestFaultsOfPages(t *testing.T) {
	t.Parallel()
	docs := full()
	docs[settings.Clusters] = append(docs[settings.Clusters], page(form.Doc{"id": "two", "server": "http://two.test", "audience": "k8s-one", "color": "pink"}, "two"))
	docs[settings.Rules] = append(docs[settings.Rules], page(form.Doc{"id": "bad", "admin": true, "who": map[string]any{"everyone": true, "domains": []any{"@x"}}, "clusters": map[string]any{"ids": []any{"nowhere"}}}, "bad"))
	_, faults := reader().Read(docs)
	var got []string
	for _, f := range faults.Faults() {
		got = append(got, f.Path+": "+f.Message)
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		"clusters[1].audience: ", "clusters[1].server: must start with https", "clusters[1].color: must be one of", "rules[2].clusters: must be empty in a rule", "rules[2].who.domains[0]: must be a domain", "rules[2].clusters.ids[0]: must name existing clusters",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestDexImport reads a configuration with every connector of Dex's documentation.
func TestDexImport(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/dex.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.NewCA("idp", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file, err := settings.ReadImport([]byte(strings.ReplaceAll(string(text), "@PEM@", base64.StdEncoding.EncodeToString(ca.PEM))), settings.FormatDex, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, faults := reader().Read(file.Docs)
	if err := faults.Err(); err != nil {
		t.Fatalf("%v\n%+v", err, file)
	}
	types := map[string]bool{}
	for _, c := range set.Connectors {
		types[c.Type] = true
	}
	for _, want := range []string{"ldap", "github", "gitlab", "oidc", "oauth", "google", "microsoft", "gitea", "bitbucket", "linkedin", "saml", "openshift", "crowd", "keystone", "authproxy", "local"} {
		if !types[want] {
			t.Errorf("no %s", want)
		}
	}
	report := strings.Join(append(file.Notes, file.Ignored...), "\n")
	for _, want := range []string{
		`no connector of the type "mockCallback"`, "send a secret in X-Fairlead-Proxy-Secret", "static password admin: Fairlead does not know and ignores userID", "needs a role that lets it read users", "paste the content of /x.json into Service account key", "trustedPeers has no equal", "storage: left out", "new callback address",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report has no %q:\n%s", want, report)
		}
	}
	result, err := password.NewHasher().Check(t.Context(), set.LocalUsers[0].FileHash, "password")
	if err != nil || !result.Match {
		t.Errorf("a bcrypt user can't sign in: %v", err)
	}
	if strings.Contains(report, "canary") {
		t.Error("the report shows a secret")
	}
}

func TestGangwayImport(t *testing.T) {
	t.Parallel()
	file, err := settings.ReadImport([]byte("{clusterName: Prod EU, apiServerURL: 'https://k8s.test:6443', clientID: gangway, clientSecret: canary, usernameClaim: sub, clusterCAPath: /ca, strange: 1}"), settings.FormatGangway, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, faults := reader().Read(file.Docs)
	if err := faults.Err(); err != nil || len(set.Clusters) != 1 || set.Clusters[0].ID != "prod-eu" || set.Clusters[0].Audience != "gangway" {
		t.Errorf("%+v %v", set.Clusters, err)
	}
	report := strings.Join(append(file.Notes, file.Ignored...), "\n")
	if strings.Contains(report, "canary") || !strings.Contains(report, "does not know and ignores strange") {
		t.Errorf("%s", report)
	}
}
