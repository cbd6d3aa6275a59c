package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func stringList(body map[string]any, name string) []string {
	values, _ := body[name].([]any)
	var texts []string
	for _, v := range values {
		text, _ := v.(string)
		texts = append(texts, text)
	}
	return texts
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-config: discovery endpoint verification", "OpenID Connect Discovery section 3", "RFC 8414 section 2")
	got := o.metadata(t)
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") || got.text("issuer") != o.Issuer {
		t.Fatalf("%d %v %s", got.status, got.header, got.raw)
	}
	for name, value := range got.body {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" && name != "issuer" {
			continue
		}
		text, _ := value.(string)
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" || u.RawQuery != "" {
			t.Errorf("%s = %v, want an https URL", name, value)
		}
	}
	for name, want := range map[string][]string{
		"response_types_supported": {"code"}, "subject_types_supported": {"public"}, "id_token_signing_alg_values_supported": {"RS256"},
		"scopes_supported": {"openid", "offline_access"}, "code_challenge_methods_supported": {"S256"}, "claims_supported": {"sub", "iss", "aud"},
		"grant_types_supported":                 {"authorization_code", "refresh_token", deviceGrant, exchangeGrant, "client_credentials"},
		"response_modes_supported":              {"query", "form_post"},
		"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"prompt_values_supported":               {"none", "login", "consent", "select_account"},
	} {
		for _, value := range want {
			if !slices.Contains(stringList(got.body, name), value) {
				t.Errorf("%s = %v lacks %s", name, got.body[name], value)
			}
		}
	}
	for name, never := range map[string][]string{
		"response_types_supported": {"token", "id_token", "code token"}, "code_challenge_methods_supported": {"plain"},
		"grant_types_supported": {"password", "implicit"}, "id_token_signing_alg_values_supported": {"none", "HS256"},
	} {
		for _, value := range never {
			if slices.Contains(stringList(got.body, name), value) {
				t.Errorf("%s offers %s (RFC 9700)", name, value)
			}
		}
	}
	for name, want := range map[string]any{
		"authorization_response_iss_parameter_supported": true, "request_parameter_supported": false, "request_uri_parameter_supported": false,
		"claims_parameter_supported": true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
	} {
		if got.body[name] != want {
			t.Errorf("%s = %v, want %v", name, got.body[name], want)
		}
	}
}

// TestMetadataDoesNotLie asks every endpoint whether it is there.
func TestMetadataDoesNotLie(t *testing.T) {
	t.Parallel()
	o := check(t, "RFC 8414 section 2", "the metadata is derived from what is mounted")
	for name, value := range o.metadata(t).body {
		address, isText := value.(string)
		if !isText || !strings.HasSuffix(name, "_endpoint") {
			continue
		}
		if got := o.post(t, client{}, address, url.Values{}); got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d", name, address, got.status)
		}
	}
	for _, grant := range stringList(o.metadata(t).body, "grant_types_supported") {
		if got := o.token(t, o.First, url.Values{"grant_type": {grant}}); got.text("error") == "unsupported_grant_type" {
			t.Errorf("%s is offered and not supported", grant)
		}
	}
}

func TestCachedDocuments(t *testing.T) {
	t.Parallel()
	o := check(t, "OpenID Connect Core section 10.1.1", "RFC 9111")
	for _, address := range []string{o.Issuer + "/.well-known/openid-configuration", o.endpoint(t, "jwks_uri")} {
		first := o.get(t, address, nil)
		if !strings.Contains(first.header.Get("Cache-Control"), "max-age=") || first.header.Get("ETag") == "" {
			t.Errorf("%s: headers %v", address, first.header)
		}
		again := o.get(t, address, http.Header{"If-None-Match": {first.header.Get("ETag")}})
		if again.status != http.StatusNotModified || again.raw != "" {
			t.Errorf("%s: %d with the same tag", address, again.status)
		}
	}
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	o := check(t, "oidcc-config: jwks", "OpenID Connect Core section 10.1", "RFC 7517")
	got := o.get(t, o.endpoint(t, "jwks_uri"), nil)
	var raw struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(got.raw), &raw); err != nil || len(raw.Keys) == 0 {
		t.Fatalf("%s: %v", got.raw, err)
	}
	seen := map[any]bool{}
	for _, key := range raw.Keys {
		if key["kid"] == "" || key["kid"] == nil || seen[key["kid"]] {
			t.Errorf("kid %v is missing or there twice", key["kid"])
		}
		seen[key["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if key[private] != nil {
				t.Errorf("key %v shows its private member %s", key["kid"], private)
			}
		}
		if key["use"] != "sig" || key["kty"] == "oct" {
			t.Errorf("key %v", key)
		}
	}
	set := o.keySet(t)
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() {
			t.Errorf("key %s is not a valid public key", key.KeyID)
		}
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		n := 0
		for _, key := range set.Keys {
			if key.Algorithm == string(alg) {
				n++
			}
		}
		if n < 2 {
			t.Errorf("%d keys for %s: the next one must be published before it signs", n, alg)
		}
	}
}
