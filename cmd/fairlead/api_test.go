package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/adminapi"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// program is a client of the JSON API.
type program struct {
	*station
	token   string
	schemas map[string]any
}

func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{station: newStation(t)}
	root, _ := p.person("break-glass", "root", time.Now().Add(time.Hour))
	p.token = "fla_" + secret.Token().Reveal()
	var scopes store.Strings
	for _, scope := range admin.Scopes() {
		scopes = append(scopes, string(scope))
	}
	if err := p.store.CreateAPIToken(t.Context(), &store.APIToken{Hash: secret.Hash(p.token), Name: "x", Scopes: scopes, UserID: root.ID, Expires: store.At(time.Now().Add(time.Hour))}); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(p.ask(http.MethodGet, adminapi.Path+"/openapi.json", "", "", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	p.schemas = doc.Components.Schemas
	return p
}

// call sends JSON and returns the response.
func (p *program) call(method, path, body string) (int, map[string]any) {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), method, adminapi.Path+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+p.token)
	w := httptest.NewRecorder()
	p.router.ServeHTTP(w, r)
	var answer map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			p.t.Fatalf("%s %s: %v\n%s", method, path, err, w.Body)
		}
	}
	return w.Code, answer
}

// fits reports where a value differs from its schema.
func (p *program) fits(at string, schema map[string]any, value any) string {
	if ref, ok := schema["$ref"].(string); ok {
		component, _ := p.schemas[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any)
		return p.fits(at, component, value)
	}
	switch schema["type"] {
	case "array":
		list, ok := value.([]any)
		if !ok {
			return fmt.Sprintf("%s is %T", at, value)
		}
		items, _ := schema["items"].(map[string]any)
		for i, v := range list {
			if fault := p.fits(fmt.Sprintf("%s[%d]", at, i), items, v); fault != "" {
				return fault
			}
		}
	case "object":
		return p.fitsObject(at, schema, value)
	case "string":
		if _, ok := value.(string); !ok {
			return fmt.Sprintf("%s is %T", at, value)
		}
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) {
			return fmt.Sprintf("%s is %v", at, value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return fmt.Sprintf("%s is %T", at, value)
		}
	}
	return ""
}

func (p *program) fitsObject(at string, schema map[string]any, value any) string {
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %T", at, value)
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, there := object[fmt.Sprint(name)]; !there {
			return fmt.Sprintf("%s lacks %s", at, name)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, v := range object {
		property, known := properties[name].(map[string]any)
		if !known && schema["additionalProperties"] == false {
			return at + " has " + name
		}
		if known {
			if fault := p.fits(at+"."+name, property, v); fault != "" {
				return fault
			}
		}
	}
	return ""
}

// TestAnswersFitTheDocument calls many operations and compares each response with the OpenAPI document.
func TestAnswersFitTheDocument(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	jane, _ := p.person("local", "jane", time.Now().Add(time.Hour), "local:dev")
	version := ""
	for _, c := range []struct {
		method, path, body string
		status             int
		schema             string
	}{
		{"POST", "/clusters", `{"document":{"id":"one","server":"https://one.test","labels":{"env":"test"}},"reason":"first"}`, 201, "Revision"},
		{"POST", "/clusters", `{"document":{"id":"one","server":"http://one.test"}}`, 422, "Fault"},
		{"POST", "/clusters", `{"dokument":{}}`, 422, "Fault"},
		{"GET", "/clusters/one", ``, 200, "Entry"},
		{"GET", "/clusters/none", ``, 404, "Fault"},
		{"PUT", "/clusters/one", `{"document":{"server":"https://one.test"},"version":"old"}`, 409, "Fault"},
		{"PUT", "/clusters/one", `{"document":{"server":"https://two.test"},"version":"@"}`, 200, "Revision"},
		{"POST", "/rules", `{"document":{"id":"dev","who":{"groups":["local:dev"]},"clusters":{"ids":["one"]}}}`, 201, "Revision"},
		{"POST", "/rules/preview", `{"document":{"id":"more","who":{"everyone":true},"clusters":{"ids":["*"]}}}`, 200, "Preview"},
		{"DELETE", "/clusters/one?version=@", ``, 422, "Fault"},
		{"POST", "/clients", `{"document":{"id":"web","redirectURIs":["https://web.test/cb"]}}`, 201, "Revision"},
		{"POST", "/clients/web/secrets", ``, 200, "Secret"},
		{"GET", "/clients/web/secrets", ``, 200, "ClientSecrets"},
		{"POST", "/connectors", `{"document":{"id":"dir","type":"ldap","config":{"hosts":["127.0.0.1:1"],"userSearch":{"baseDN":"dc=test"}}}}`, 201, "Revision"},
		{"POST", "/connectors/check", `{"id":"dir","document":{"type":"ldap","config":{"hosts":["127.0.0.1:1"],"userSearch":{"baseDN":"dc=test"}}}}`, 200, "Findings"},
		{"POST", "/connectors/lookup", `{"id":"dir","document":{"type":"ldap","config":{"hosts":["127.0.0.1:1"],"userSearch":{"baseDN":"dc=test"}}},"username":"x"}`, 200, "Found"},
		{"POST", "/connectors/dir/enable", `{}`, 422, "Fault"},
		{"POST", "/connectors/dir/enable", `{"reason":"a test"}`, 200, "Revision"},
		{"POST", "/connectors/dir/up", ``, 204, ""},
		{"GET", "/people?q=jane", ``, 200, "People"},
		{"GET", "/people/" + jane.ID, ``, 200, "Person"},
		{"POST", "/simulate", `{"user":"local:jane"}`, 200, "Answers"},
		{"GET", "/access-map?user=local:jane&cluster=one", ``, 200, "AccessMap"},
		{"GET", "/access-map?user=local:unknown", ``, 404, "Fault"},
		{"POST", "/people/" + jane.ID + "/revoke", `{}`, 204, ""},
		{"POST", "/people/" + jane.ID + "/disable", ``, 204, ""},
		{"GET", "/keys", ``, 200, "Keys"},
		{"GET", "/audit", ``, 200, "Events"},
		{"GET", "/history", ``, 200, "Revisions"},
		{"GET", "/export", ``, 200, "Text"},
		{"POST", "/import", `{"yaml":"clusters: [{id: three, server: \"https://three.test\"}]","dryRun":true}`, 200, "Imported"},
		{"GET", "/overview", ``, 200, "Notices"},
		{"GET", "/clusters?q=one", ``, 200, "Entries"},
	} {
		if strings.Contains(c.path+c.body, "@") {
			_, item := p.call("GET", "/clusters/one", "")
			version, _ = item["version"].(string)
		}
		status, answer := p.call(c.method, strings.Replace(c.path, "@", version, 1), strings.Replace(c.body, `"@"`, `"`+version+`"`, 1))
		if status != c.status {
			t.Errorf("%s %s: %d %v", c.method, c.path, status, answer)
			continue
		}
		if c.schema == "" {
			continue
		}
		schema, _ := p.schemas[c.schema].(map[string]any)
		if fault := p.fits(c.schema, schema, answer); fault != "" {
			t.Errorf("%s %s: %s in %v", c.method, c.path, fault, answer)
		}
	}
}
