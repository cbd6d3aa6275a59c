package adminapi_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fairlead-auth/fairlead/server/admin/adminapi"
)

// TestDocument checks that the OpenAPI document is valid JSON, that every reference resolves, and that every
// operation has a unique name, a scope and a description.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(adminapi.Document("https://login.test"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			ID      string `json:"operationId"`
			Scope   string `json:"x-scope"`
			Summary string `json:"summary"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%s %v", doc.OpenAPI, err)
	}
	seen := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.ID == "" || seen[op.ID] || op.Scope == "" || op.Summary == "" {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			seen[op.ID] = true
		}
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	walk(root, func(key string, value any) {
		const prefix = "#/components/schemas/"
		if ref := fmt.Sprint(value); key == "$ref" && doc.Components.Schemas[ref[len(prefix):]] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
}

func walk(v any, visit func(key string, value any)) {
	switch x := v.(type) {
	case map[string]any:
		for key, value := range x {
			visit(key, value)
			walk(value, visit)
		}
	case []any:
		for _, value := range x {
			walk(value, visit)
		}
	}
}
