package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDiscoveryIsCachedAndTrue(t *testing.T) {
	t.Parallel()
	w := setup(t)
	get := func(path, etag string) (int, http.Header, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", etag)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var doc map[string]any
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode, resp.Header, doc
	}
	_, header, doc := get("/.well-known/openid-configuration", "")
	if doc["issuer"] != w.issuer || !strings.Contains(header.Get("Cache-Control"), "max-age=600") {
		t.Errorf("document %v, headers %v", doc, header)
	}
	if status, _, _ := get("/.well-known/openid-configuration", header.Get("ETag")); status != http.StatusNotModified {
		t.Errorf("with its tag: %d", status)
	}
	// Each published endpoint must exist.
	for name, address := range doc {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		u, err := url.Parse(fmt.Sprint(address))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			t.Errorf("%s is published and not there", name)
		}
	}
	// Both documents stay available without a database.
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/keys"} {
		if status, _, _ := get(path, ""); status != http.StatusOK {
			t.Errorf("%s without a database: %d", path, status)
		}
	}
}
