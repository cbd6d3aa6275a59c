package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/adminapi"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// station is the whole program in process, with users.
type station struct {
	*app
	t   testing.TB
	out *strings.Builder
	// asked counts requests. Each request comes from another network, so that the request limit does not apply.
	asked int
}

func newStation(t testing.TB) *station {
	t.Helper()
	return newStationOf(t, newOperator(t))
}

// newStationOf starts the program with this configuration.
func newStationOf(t testing.TB, o *operator) *station {
	t.Helper()
	cfg, err := loadConfig(o.file)
	if err != nil {
		t.Fatal(err)
	}
	out := &strings.Builder{}
	a, err := newApp(t.Context(), cfg, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	return &station{app: a, t: t, out: out}
}

// person creates a session and returns its cookie.
func (s *station) person(connector, login string, ends time.Time, groups ...string) (*store.User, string) {
	s.t.Helper()
	u, _, err := s.store.SignInUser(s.t.Context(), store.ResolvedIdentity{
		ConnectorID: connector, KubeName: connector + ":" + login, Identity: connectors.Identity{Subject: login, Username: login, Groups: groups},
	}, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	token := secret.Token().Reveal()
	if err := s.store.CreateSignIn(s.t.Context(), &store.SignIn{
		ID: secret.ID("sid"), CookieHash: secret.Hash(token), UserID: u.ID, ConnectorID: connector, Authenticated: store.At(time.Now()), LastSeen: store.At(time.Now()),
		IdleExpires: store.At(ends), Expires: store.At(ends),
	}); err != nil {
		s.t.Fatal(err)
	}
	return u, token
}

// ask sends a request with a cookie or a token.
func (s *station) ask(method, path, cookie, token, site string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(url.Values{"x": {"y"}}.Encode())), cookie, token, site)
}

// post submits a form.
func (s *station) post(path, cookie string, values url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, path, strings.NewReader(values.Encode())), cookie, "", "same-origin")
}

func (s *station) send(r *http.Request, cookie, token, site string) *httptest.ResponseRecorder {
	s.asked++
	r.RemoteAddr = fmt.Sprintf("192.0.%d.%d:1", s.asked/250%250, s.asked%250)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	if cookie != "" {
		name := "fairlead"
		if s.cfg.url.Scheme == "https" {
			name = "__Host-fairlead"
		}
		r.AddCookie(&http.Cookie{Name: name, Value: cookie})
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.router.ServeHTTP(w, r)
	return w
}

// refusals counts the recorded refusals with a reason. It reads the log stream, which also has those of
// unauthenticated requests.
func (s *station) refusals(reason string) int {
	n := 0
	for line := range strings.Lines(s.out.String()) {
		if strings.Contains(line, `"event":"admin.refused"`) && strings.Contains(line, `"reason":"`+reason+`"`) {
			n++
		}
	}
	return n
}

var parameterOf = regexp.MustCompile(`:\w+`)

// TestEveryAdminRouteIsGuarded requests each admin route as every caller without the right. It expects a refusal
// and an audit event.
func TestEveryAdminRouteIsGuarded(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	_, stranger := s.person("local", "stranger", time.Now().Add(time.Hour))
	_, late := s.person("break-glass", "late", time.Now().Add(-time.Minute))
	_, root := s.person("break-glass", "root", time.Now().Add(time.Hour))
	open := map[string]bool{"/admin/setup": true, "/admin/setup/code.png": true, "/admin/recover": true} // these routes have their own checks
	n := 0
	for _, r := range s.router.Routes() {
		if !strings.HasPrefix(r.Path, "/admin") || open[r.Path] || r.Method == "echo_route_not_found" {
			continue
		}
		n++
		path := parameterOf.ReplaceAllString(r.Path, "x")
		for who, c := range map[string]struct {
			cookie, site, reason string
			status               int
		}{
			"nobody":             {"", "same-origin", "no_good_token", http.StatusSeeOther},
			"an expired session": {late, "same-origin", "no_good_token", http.StatusSeeOther},
			"no admin":           {stranger, "same-origin", "no_admin_rule", http.StatusForbidden},
			"another site":       {root, "cross-site", "cross_site", http.StatusForbidden},
		} {
			if c.site == "cross-site" && r.Method == http.MethodGet {
				continue // links from other sites are allowed
			}
			before := s.refusals(c.reason)
			w := s.ask(r.Method, path, c.cookie, "", c.site)
			if w.Code != c.status || c.status == http.StatusSeeOther && !strings.Contains(w.Header().Get("Location"), "/login") {
				t.Errorf("%s %s as %s: %d %s", r.Method, r.Path, who, w.Code, w.Header().Get("Location"))
			}
			if s.refusals(c.reason) != before+1 {
				t.Errorf("%s %s as %s is not recorded", r.Method, r.Path, who)
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d routes", n)
	}
}

// TestEveryOperationIsGuarded does the same for the JSON API, as its OpenAPI document lists it.
func TestEveryOperationIsGuarded(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, _ := s.person("break-glass", "root", time.Now().Add(time.Hour))
	nobody, _ := s.person("local", "nobody", time.Now().Add(time.Hour))
	token := func(u *store.User, scopes ...string) string {
		text := "fla_" + secret.Token().Reveal()
		if err := s.store.CreateAPIToken(t.Context(), &store.APIToken{Hash: secret.Hash(text), Name: "x", Scopes: scopes, UserID: u.ID, Expires: store.At(time.Now().Add(time.Hour))}); err != nil {
			t.Fatal(err)
		}
		return text
	}
	var all []string
	for _, scope := range admin.Scopes() {
		all = append(all, string(scope))
	}
	noAdmin := token(nobody, all...)
	mounted := map[string]bool{}
	for _, r := range s.router.Routes() {
		if strings.HasPrefix(r.Path, adminapi.Path) && r.Method != "echo_route_not_found" && !strings.HasSuffix(r.Path, "openapi.json") {
			mounted[r.Method+" "+parameterOf.ReplaceAllStringFunc(strings.TrimPrefix(r.Path, adminapi.Path), func(p string) string { return "{" + p[1:] + "}" })] = true
		}
	}
	for path, methods := range operations(t, s) {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if !mounted[name] {
				t.Errorf("%s is documented and not there", name)
			}
			delete(mounted, name)
			var others []string
			for _, scope := range all {
				if scope != op.Scope {
					others = append(others, scope)
				}
			}
			for who, c := range map[string]struct {
				token, reason string
				status        int
			}{
				"nobody":            {"", "no_good_token", http.StatusUnauthorized},
				"a made-up token":   {"fla_made-up", "no_good_token", http.StatusUnauthorized},
				"no admin":          {noAdmin, "no_admin_rule", http.StatusForbidden},
				"without the scope": {token(root, others...), "scope", http.StatusForbidden},
			} {
				before := s.refusals(c.reason)
				w := s.ask(strings.ToUpper(method), adminapi.Path+strings.NewReplacer("{", "", "}", "").Replace(path), "", c.token, "")
				if w.Code != c.status || !strings.Contains(w.Body.String(), `"kind"`) {
					t.Errorf("%s as %s: %d %s", name, who, w.Code, w.Body)
				}
				if s.refusals(c.reason) != before+1 {
					t.Errorf("%s as %s is not recorded", name, who)
				}
			}
		}
	}
	for name := range mounted {
		t.Errorf("%s is there and not documented", name)
	}
}

// operation is an operation of the OpenAPI document.
type operation struct {
	Scope     string `json:"x-scope"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema map[string]any `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

func operations(t *testing.T, s *station) map[string]map[string]operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(s.ask(http.MethodGet, adminapi.Path+"/openapi.json", "", "", "").Body.Bytes(), &doc); err != nil || len(doc.Paths) < 30 {
		t.Fatalf("%d paths: %v", len(doc.Paths), err)
	}
	return doc.Paths
}

const pageCanary = "canary-of-the-pages-of-this-test"

// TestCanariesNeverLeave enters canary secrets into every secret field. It looks for them in every page, response,
// log line, event, diff and export.
func TestCanariesNeverLeave(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	caller := admin.Caller{User: root}
	for name, kind := range s.reloader.types {
		doc := form.Doc{"id": "c-" + name, "type": name, "config": map[string]any{}}
		for _, f := range kind.Fields {
			doc.Set("config."+f.Key, sample(f))
		}
		if _, err := s.provider.Admin.Apply(t.Context(), caller, admin.Draft{Kind: settings.Connectors, Doc: doc}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		item, err := s.provider.Admin.Entry(t.Context(), caller, settings.Connectors, "c-"+name)
		if err != nil {
			t.Fatal(err)
		}
		again := item.Doc.Clone()
		again["note"] = "changed"
		for _, f := range kind.Fields {
			switch {
			case f.Key == "serviceAccount":
				again.Set("config."+f.Key, sampleAccount(pageCanary+"-2"))
			case f.Key == "keyPair":
				again.Set("config."+f.Key, sampleKeyPair()+pageCanary+"-2")
			case f.Kind == form.Secret:
				again.Set("config."+f.Key, pageCanary+"-2")
			}
		}
		if _, err := s.provider.Admin.Apply(t.Context(), caller, admin.Draft{Kind: settings.Connectors, ID: "c-" + name, Doc: again, Version: item.Version}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	paths := []string{"/admin", "/admin/connectors", "/admin/history", "/admin/audit", "/admin/audit/export", "/admin/audit/export?format=csv", "/admin/transfer/export", "/admin/diagnostics"}
	for name := range s.reloader.types {
		paths = append(paths, "/admin/connectors/c-"+name, "/admin/connectors/c-"+name+"/delete", "/admin/connectors/new?from=c-"+name)
	}
	revisions, err := s.store.Revisions(t.Context(), store.RevisionQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range revisions {
		paths = append(paths, "/admin/history/"+r.ID)
	}
	for _, path := range paths {
		w := s.ask(http.MethodGet, path, cookie, "", "same-origin")
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		if strings.Contains(w.Body.String(), pageCanary) {
			t.Errorf("%s shows a secret", path)
		}
	}
	token := "fla_" + secret.Token().Reveal()
	if err := s.store.CreateAPIToken(t.Context(), &store.APIToken{
		Hash: secret.Hash(token), Name: "x", Scopes: store.Strings{"settings:read", "audit:read"}, UserID: root.ID, Expires: store.At(time.Now().Add(time.Hour)),
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/connectors", "/connectors/c-ldap", "/history", "/export", "/audit", "/overview"} {
		w := s.ask(http.MethodGet, adminapi.Path+path, "", token, "")
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), pageCanary) {
			t.Errorf("%s: %d, or it shows a secret", path, w.Code)
		}
	}
	if strings.Contains(s.out.String(), pageCanary) {
		t.Error("the log shows a secret")
	}
	if strings.Contains(readAll(t, s.cfg.Database.Path), pageCanary) {
		t.Error("the database has a secret in clear")
	}
}

// sample returns a valid value for a field.
func sample(f form.Field) any {
	switch {
	case f.Key == "serviceAccount":
		return sampleAccount(pageCanary)
	case f.Key == "keyPair":
		return sampleKeyPair() + pageCanary
	case f.Kind == form.Secret:
		return pageCanary
	case f.Key == "adminEmail":
		return "admin@example.test"
	case !f.Required && f.Key != "bindDN":
		return nil
	case f.Kind == form.List:
		return []any{"host.example.test"}
	case f.Kind == form.Rows:
		return []any{map[string]any{"name": "acme"}}
	case f.Kind == form.PEM:
		return samplePEM()
	case strings.Contains(strings.ToLower(f.Key), "url") || f.Key == "issuer" || f.Key == "host":
		return "https://idp.example.test"
	}
	return "dc=example,dc=test"
}

// sampleAccount returns the key file of a service account, with a text as the key.
func sampleAccount(key string) string {
	return `{"type":"service_account","client_email":"x@project.example","private_key":"` + key + `"}`
}

func readAll(t *testing.T, file string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{file, file + "-wal"} {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// samplePEM returns a certificate.
func samplePEM() string {
	ca, err := pki.NewCA("sample", time.Now())
	if err != nil {
		panic(err)
	}
	return string(ca.PEM)
}
