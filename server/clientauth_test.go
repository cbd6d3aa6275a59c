package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := setup(t)
	robot := &relyingparty.Client{Issuer: w.issuer, ID: "robot"}
	got := robot.Token(t, url.Values{"grant_type": {"client_credentials"}, "client_secret": {"old"}})
	if got.AccessToken == "" || got.RefreshToken != "" || got.IDToken != "" {
		t.Fatalf("answer %s", got.Raw)
	}
	exchange := func(audience, resource string) relyingparty.Tokens {
		return robot.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_secret": {"new"}, "audience": {audience}, "resource": {resource},
			"subject_token": {got.AccessToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		})
	}
	cluster := exchange("k8s-c", "")
	claims := relyingparty.Claims(t, cluster.AccessToken)
	if claims["preferred_username"] != "service:robot" || !cmp.Equal(claims["groups"], []any{"corp:ops"}) || claims["aud"] != "k8s-c" {
		t.Errorf("claims %v", claims)
	}
	if got := exchange("", "https://c.test/"); relyingparty.Claims(t, got.AccessToken)["aud"] != "k8s-c" {
		t.Errorf("by resource: %s", got.Raw)
	}
	for name, refused := range map[string]relyingparty.Tokens{"no rule": exchange("k8s-a", ""), "two clusters": exchange("k8s-c", "https://a.test"), "unknown": exchange("", "https://x.test")} {
		if refused.Error != "invalid_target" {
			t.Errorf("%s: %s", name, refused.Raw)
		}
	}
	if got := w.plugin.Token(t, url.Values{"grant_type": {"client_credentials"}}); got.Error != "unauthorized_client" {
		t.Errorf("a public client: %s", got.Raw)
	}
	uses, err := w.store.LastUses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{secret.Hash("old"), secret.Hash("new")} {
		if uses[store.SecretUseID("robot", hash)].IsZero() {
			t.Errorf("the use of a secret is not noted: %v", uses)
		}
	}
}

func ecKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

func signJWT(t *testing.T, key jose.JSONWebKey, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, key := range keys {
		set.Keys = append(set.Keys, key.Public())
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key, stranger := ecKey(t, "k1"), ecKey(t, "k1")
	w.settings.Clients = append(w.settings.Clients, store.Client{
		ID: "keyed", Name: "Keyed", Grants: store.Strings{"client_credentials"}, KeySet: keySet(t, key), Origin: store.Origin{Origin: store.OriginFile},
	})
	apply(t, w.store, w.settings, w.clock.now())
	now := w.clock.now()
	claims := func(change func(m map[string]any)) map[string]any {
		m := map[string]any{"iss": "keyed", "sub": "keyed", "aud": w.issuer, "exp": now.Add(time.Minute).Unix(), "jti": secret.ID("jti")}
		if change != nil {
			change(m)
		}
		return m
	}
	try := func(assertion string, more url.Values) relyingparty.Tokens {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"keyed"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		maps.Copy(form, more)
		return w.plugin.Post(t, "/token", form)
	}
	good := signJWT(t, key, claims(nil))
	if got := try(good, nil); got.AccessToken == "" {
		t.Fatalf("good: %s", got.Raw)
	}
	if got := try(signJWT(t, key, claims(func(m map[string]any) { m["aud"] = w.issuer + "/token" })), nil); got.AccessToken == "" {
		t.Errorf("the token endpoint as audience: %s", got.Raw)
	}
	set := func(name string, value any) string {
		return signJWT(t, key, claims(func(m map[string]any) { m[name] = value }))
	}
	for name, assertion := range map[string]string{
		"used before":       good,
		"a stranger's key":  signJWT(t, stranger, claims(nil)),
		"another audience":  set("aud", "https://else.test"),
		"two audiences":     set("aud", []string{w.issuer, "https://else.test"}),
		"another issuer":    set("iss", "other"),
		"expired":           set("exp", now.Add(-time.Minute).Unix()),
		"too long a life":   set("exp", now.Add(time.Hour).Unix()),
		"from the future":   set("nbf", now.Add(time.Hour).Unix()),
		"issued in future":  set("iat", now.Add(time.Hour).Unix()),
		"without an id":     set("jti", ""),
		"unsigned":          "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".",
		"not a token":       "x",
		"of another client": signJWT(t, key, claims(func(m map[string]any) { m["iss"], m["sub"] = "robot", "robot" })),
	} {
		if got := try(assertion, nil); got.Error != "invalid_client" && got.Error != "invalid_request" {
			t.Errorf("%s: %s", name, got.Raw)
		}
	}
	if got := try(set("x", 1), url.Values{"client_secret": {"s"}}); got.Error != "invalid_request" {
		t.Errorf("two ways at once: %s", got.Raw)
	}
}
