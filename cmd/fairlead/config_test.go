package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// folder is an /etc/fairlead with every file that the examples name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ldap-ca.crt": string(ca.PEM), "on-prem-ca.crt": string(ca.PEM), "ldap-password": "canary-ldap\n", "secret": "canary-secret", "hash": "$2a$10$" + strings.Repeat("a", 53),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, dir, text string) (*config, store.Settings, error) {
	t.Helper()
	file := filepath.Join(dir, "fairlead.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/etc/fairlead", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(file)
	if err != nil {
		return nil, store.Settings{}, err
	}
	set, err := cfg.settings(all.Types(password.NewHasher()))
	return cfg, set, err
}

func TestExamplesAreGood(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, value := range map[string]string{
		"GITHUB_CLIENT_SECRET": "canary-github", "GRAFANA_CLIENT_SECRET": "canary-grafana", "DATABASE_URL": "postgres://x", "IDP_CLIENT_SECRET": "x",
		"FAIRLEAD_DATA_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{"fairlead.yaml", "fairlead-postgres.yaml"} {
		text, err := os.ReadFile("../../deploy/examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		cfg, set, err := load(t, folder(t), string(text))
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if _, err := cfg.url.Parse("/"); err != nil || len(set.Clusters) == 0 || len(set.Connectors) == 0 {
			t.Errorf("%s: %+v", name, set)
		}
		if shown := fmt.Sprintf("%+v %#v", cfg.fileConfig, cfg.DataKeys); strings.Contains(shown, "canary") {
			t.Errorf("%s prints a secret", name)
		}
	}
}

func TestEveryFaultIsListed(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "brand: x\n", `fairlead.yaml:1: url: is required: set the address that users open, such as https://login.example.com
fairlead.yaml:1: database.path: is required: set the file of the database, such as /var/lib/fairlead/fairlead.db`},
		{"url", "url: http://login.example.com\ndatabase: {path: x}\n", "fairlead.yaml:1: url: must start with https, because http sends passwords unencrypted. Use http on loopback only"},
		{"slash", "url: https://login.example.com/\ndatabase: {path: x}\n", "fairlead.yaml:1: url: must be an address without a slash at the end, such as https://login.example.com"},
		{"demo", "url: https://login.example.com\ndemo: true\ndatabase: {path: x}\n", "fairlead.yaml:2: demo: must be false unless url and listen are on loopback: the passwords of a demo are public"},
		{"duration", "url: https://l.test\ndatabase: {path: x}\nsessions: {idle: soon}\n", `fairlead.yaml:3: sessions.idle: must be a duration such as 30s, 10m or 12h, got "soon"`},
		{"missing reference", "url: https://l.test\ndatabase: {path: x}\nissuerCA: env:NOT_THERE\n", "fairlead.yaml:3: issuerCA: the environment variable NOT_THERE is not set"},
		{"postgres", "url: https://l.test\ndatabase: {driver: postgres}\n", `fairlead.yaml:1: dataKeys: is required: with PostgreSQL every replica needs the same key. Create one with: fairlead datakey
fairlead.yaml:2: database.url: is required: set it to env:NAME or file:PATH`},
	} {
		_, _, err := load(t, dir, c.text)
		if diff := cmp.Diff(c.want, fmt.Sprint(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEveryFaultOfEntriesIsListed(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, folder(t), `url: https://login.test
database: {path: x}
connectors:
- {id: Corp, type: ldap, config: {hosts: [x], bindDN: cn=x, bindPassword: in-clear, userSearch: {baseDN: x}}}
- {id: gh, type: githubb}
- {id: gh2, type: github, config: {clientId: x}}
- {id: sys, type: ldap, groupPrefix: "system:", config: {hosts: [x], userSearch: {baseDN: x}}}
localUsers:
- {login: jane, passwordHash: plain}
- {login: JANE, passwordHash: "file:/etc/fairlead/hash"}
- {login: "system:admin", passwordHash: "file:/etc/fairlead/hash", groups: ["system:masters"]}
clusters:
- {id: a, server: "http://a.test"}
- {id: a, server: "https://a.test", algorithm: EdDSA, tokenLife: 1h1s, mode: x, audience: kubectl-fairlead}
- {id: b, server: nowhere, ca: broken}
rules:
- {id: r, who: {}, clusters: {}}
- {id: r, who: {everyone: true, connectors: [nobody]}, clusters: {ids: [nowhere]}}
clients:
- {id: k8s-a, public: true, secrets: ["file:/etc/fairlead/secret"]}
- {id: web, redirectURIs: ["http://web.test/cb", "https://web.test/*"], grants: [password], secrets: [in-clear]}
- {id: app, public: true, pkceOptional: true, redirectURIs: ["com.example.app:/cb"]}
`)
	want := `fairlead.yaml:4: connectors[0].id: must have 1 to 63 lower-case letters, digits and dashes, and start and end with a letter or digit, not "Corp"
fairlead.yaml:4: connectors[0].config.bindPassword: must not stand in this file, because it is a secret. Use env:NAME or file:PATH
fairlead.yaml:5: connectors[1].type: must be one of authproxy, bitbucket, crowd, gitea, github, gitlab, google, keystone, ldap, linkedin, local, microsoft, oauth, oidc, openshift, saml, not "githubb"
fairlead.yaml:6: connectors[2].config.clientId: is not a known key; did you mean "clientID"?
fairlead.yaml:7: connectors[3]: must not have the prefix "system:": it makes names that clusters must not see
fairlead.yaml:8: localUsers: need a connector of type local. Add one, so that these users can sign in
fairlead.yaml:9: localUsers[0].passwordHash: is neither an argon2id PHC string nor a bcrypt hash with cost 4 to 14. Create a hash with: fairlead local-user hash
fairlead.yaml:10: localUsers[1].login: must be unique: another local user has the user name "JANE"
fairlead.yaml:11: localUsers[2].login: begins with "system:", which Kubernetes reserves
fairlead.yaml:11: localUsers[2].groups[0]: begins with "system:", which Kubernetes reserves
fairlead.yaml:13: clusters[0].server: must start with https: kubectl sends no token to other addresses
fairlead.yaml:14: clusters[1].id: must be unique: "a" is already in use
fairlead.yaml:14: clusters[1].audience: must be unique, because each token is valid for one cluster only: "kubectl-fairlead" is already in use
fairlead.yaml:14: clusters[1].mode: must be proxy or direct, not "x"
fairlead.yaml:14: clusters[1].algorithm: must be RS256 or ES256: no Kubernetes API server accepts EdDSA
fairlead.yaml:14: clusters[1].tokenLife: must be between 5m and 1h
fairlead.yaml:15: clusters[2].ca: must be a certificate in PEM format
fairlead.yaml:15: clusters[2].server: must be the URL that kubectl uses, such as https://k8s.example.com:6443, not "nowhere"
fairlead.yaml:17: rules[0].who: must select users: enter groups, users or email domains, or choose everyone
fairlead.yaml:17: rules[0].clusters: must select clusters: enter cluster IDs or labels
fairlead.yaml:18: rules[1].id: must be unique: "r" is already in use
fairlead.yaml:18: rules[1].clusters.ids[0]: must name existing clusters: there is no cluster "nowhere"
fairlead.yaml:18: rules[1].who.connectors[0]: must name existing connectors: there is no connector "nobody"
fairlead.yaml:20: clients[0].id: must be unique: "k8s-a" is already in use
fairlead.yaml:20: clients[0].secrets: must be empty for a public client. Remove the secrets and keys, or make the client confidential
fairlead.yaml:20: clients[0].redirectURIs: are required: enter the addresses that Fairlead may send the browser back to
fairlead.yaml:21: clients[1].grants[0]: must be one of authorization_code, client_credentials, device_code, refresh_token, token_exchange, not "password"
fairlead.yaml:21: clients[1].secrets[0]: must not stand in this file, because it is a secret. Use env:NAME or file:PATH
fairlead.yaml:21: clients[1].redirectURIs[0]: must be an https URL, http on a loopback address, or a private-use scheme with a dot in it
fairlead.yaml:21: clients[1].redirectURIs[1]: must be a full URL without fragment or wildcard, not "https://web.test/*"
fairlead.yaml:22: clients[2].pkceOptional: must be off for a public client: it always needs PKCE`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReferenceListsEveryKey compares docs/config.md with the code.
func TestReferenceListsEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths(reflect.TypeFor[fileConfig](), "") {
		if !bytes.Contains(text, []byte("`"+path+"`")) {
			t.Errorf("docs/config.md does not explain `%s`", path)
		}
	}
}

// update rewrites the generated reference pages.
var update = flag.Bool("update", false, "write the generated references anew")

// TestConnectorReference compares docs/reference/connectors.md with the form fields, and those with the settings.
func TestConnectorReference(t *testing.T) {
	t.Parallel()
	types := all.Types(password.NewHasher())
	var out strings.Builder
	out.WriteString("# Connector settings\n\nThis page lists the keys below `connectors[].config` for each type of connector. It is generated from the forms: run `go test ./cmd/fairlead -update`.\n" +
		"In the configuration file, secrets must be references (`env:NAME`, `file:PATH`). Certificates may be.\n")
	for _, name := range slices.Sorted(maps.Keys(types)) {
		kind := types[name]
		fmt.Fprintf(&out, "\n## `%s`: %s\n\n%s\n", name, kind.Label, kind.About)
		var keys []string
		for i, f := range kind.Fields {
			if i == 0 {
				out.WriteString("\n| key | label | meaning |\n| --- | --- | --- |\n")
			}
			what := strings.TrimSpace(map[bool]string{true: "Required. "}[f.Required] + f.Help + " " + f.Danger)
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", f.Key, f.Label, what)
			keys = append(keys, f.Key)
			for _, sub := range f.Fields {
				keys = append(keys, f.Key+"[]."+sub.Key)
			}
		}
		for _, path := range paths(reflect.TypeOf(kind.Config()).Elem(), "") {
			if !slices.Contains(keys, path) {
				t.Errorf("%s of %s is in no form", path, name)
			}
		}
	}
	const file = "../../docs/reference/connectors.md"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out.String(), string(text)); diff != "" {
		t.Errorf("run go test ./cmd/fairlead -update (-want +got):\n%s", diff)
	}
}

// paths returns the keys. Lists are marked with [].
func paths(t reflect.Type, prefix string) []string {
	var all []string
	for f := range t.Fields() {
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		ft, path := f.Type, prefix+key
		for ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
			if ft.Kind() == reflect.Slice {
				path += "[]"
			}
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && ft != reflect.TypeFor[reference]() && ft != reflect.TypeFor[yaml.Node]() && ft.NumField() > 0 && ft.Field(0).Tag.Get("yaml") != "" {
			all = append(all, paths(ft, path+".")...)
			continue
		}
		all = append(all, strings.TrimSuffix(path, "[]"))
	}
	return all
}

func TestDataKeyBesideTheDatabase(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "fairlead.db")
	first, err := keyBeside(database)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyBeside(database)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the key changed: %v", err)
	}
	file := strings.TrimSuffix(database, ".db") + ".key"
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	// A lost key must not be replaced silently, because the new key could decrypt nothing.
	if err := os.WriteFile(database, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := keyBeside(database); err == nil {
		t.Error("a new key was made for an old database")
	}
}

// TestAppNeverShowsSecrets starts the whole program in process and looks for canary secrets in its output and
// responses.
func TestAppNeverShowsSecrets(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cfg, _, err := load(t, dir, `url: http://127.0.0.1:8080
database: {path: /etc/fairlead/db.sqlite}
logging: {level: debug}
connectors:
- {id: corp, type: ldap, config: {hosts: ["127.0.0.1:1"], security: starttls, bindDN: cn=x, bindPassword: "file:/etc/fairlead/ldap-password", userSearch: {baseDN: x}}}
- {id: gh, type: github, config: {clientID: x, clientSecret: "file:/etc/fairlead/secret", orgs: [{name: x}]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	a, err := newApp(t.Context(), cfg, &logs)
	if err != nil {
		t.Fatal(err)
	}
	defer a.store.Close()
	shown := ""
	for _, path := range []string{"/", "/login", "/login/corp", "/login/gh", "/help", "/nowhere", "/.well-known/openid-configuration", "/callback/gh?code=canary-code"} {
		w := httptest.NewRecorder()
		a.router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		shown += w.Body.String() + fmt.Sprint(w.Header())
	}
	form := strings.NewReader("username=jane&password=canary-password")
	r := httptest.NewRequest(http.MethodPost, "/login/corp", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	a.router.ServeHTTP(w, r)
	shown += w.Body.String()
	database, err := os.ReadFile(filepath.Join(dir, "db.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	wal, _ := os.ReadFile(filepath.Join(dir, "db.sqlite-wal"))
	for name, text := range map[string]string{"log": logs.String(), "answers": shown, "database": string(database) + string(wal)} {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is in the %s", name)
		}
	}
}

// TestUserCommands runs the commands for local users.
func TestUserCommands(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if _, _, err := load(t, dir, "url: http://127.0.0.1:8080\ndatabase: {path: /etc/fairlead/db.sqlite}\nconnectors: [{id: local, type: local}]\n"); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) (string, error) {
		cmd := newCommand()
		var out bytes.Buffer
		cmd.SetIn(strings.NewReader(stdin))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{"--config", filepath.Join(dir, "fairlead.yaml")}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	for _, c := range []struct {
		stdin string
		args  string
		fault string
	}{
		{"correct horse\n", "local-user add jane --name Jane --group dev", ""},
		{"correct horse\n", "local-user add JANE", "already exists"},
		{"short\n", "local-user add bob", "8 to 1024 bytes"},
		{"correct horse\n", "local-user add system:admin", "reserves"},
		{"battery staple\n", "local-user password jane", ""},
		{"", "local-user disable jane", ""},
		{"", "local-user disable nobody", "no such local user"},
	} {
		out, err := run(c.stdin, strings.Fields(c.args)...)
		if c.fault == "" && err != nil || c.fault != "" && !strings.Contains(fmt.Sprint(err), c.fault) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
	}
	if out, err := run("", "local-user", "list"); err != nil || out != "jane\tdisabled\tpage\tdev\n" {
		t.Errorf("list %q, error %v", out, err)
	}
	if out, err := run("correct horse", "local-user", "hash"); err != nil || !strings.HasPrefix(out, "$argon2id$") {
		t.Errorf("hash %q, error %v", out, err)
	}
	if out, err := run("", "datakey"); err != nil || len(out) != 45 {
		t.Errorf("datakey %q, error %v", out, err)
	}
}
