package jwks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/jwks"
)

func publicKey(t testing.TB, id string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParse(t *testing.T) {
	t.Parallel()
	good := publicKey(t, "good")
	withCertificate := strings.TrimSuffix(publicKey(t, "cert"), "}") + `,"x5c":["not base64!"],"x5t":"short","x5u":"::"}`
	others := []string{
		`{"kty":"oct","k":"c2VjcmV0","kid":"symmetric"}`, `{"kty":"RSA","kid":"broken","n":"!","e":"AQAB"}`, `{"kty":"NEW","kid":"unknown"}`,
		`{"kid":"none"}`, strings.Replace(publicKey(t, "enc"), `"sig"`, `"enc"`, 1),
	}
	set, skipped, err := jwks.Parse(fmt.Appendf(nil, `{"keys":[%s,%s,%s],"extra":1}`, strings.Join(others, ","), good, withCertificate))
	if err != nil || skipped != len(others) || len(set.Keys) != 2 || set.Keys[0].KeyID != "good" || set.Keys[1].KeyID != "cert" {
		t.Errorf("%d keys, %d skipped, %v", len(set.Keys), skipped, err)
	}
	for _, empty := range []string{`{}`, `{"keys":[]}`, `{"keys":null}`, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`} {
		if _, _, err := jwks.Parse([]byte(empty)); !errors.Is(err, jwks.ErrNoKeys) {
			t.Errorf("%s: %v, want ErrNoKeys", empty, err)
		}
	}
	for _, broken := range []string{"", "[]", `{"keys":7}`, "<html>"} {
		if _, _, err := jwks.Parse([]byte(broken)); err == nil || errors.Is(err, jwks.ErrNoKeys) {
			t.Errorf("%q: %v, want another error", broken, err)
		}
	}
	many := `{"keys":[` + strings.TrimSuffix(strings.Repeat(good+",", jwks.MaxKeys+5), ",") + `]}`
	if set, skipped, err := jwks.Parse([]byte(many)); err != nil || len(set.Keys) != jwks.MaxKeys || skipped != 5 {
		t.Errorf("%d keys, %d skipped, %v", len(set.Keys), skipped, err)
	}
}

// FuzzParse checks that no document makes the reader panic or return a private key.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"keys":[` + publicKey(f, "k") + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":[""]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, _, err := jwks.Parse(text)
		for _, key := range set.Keys {
			if err == nil && !key.IsPublic() {
				t.Errorf("%q is not public", key.KeyID)
			}
		}
	})
}
