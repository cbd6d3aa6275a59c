package jws_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/test/harness/jws"
)

func TestSign(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(jws.Sign(t, jose.ES256, key, "k", map[string]any{"a": 1}), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := parsed.Verify(key.Public()); err != nil || string(payload) != `{"a":1}` || parsed.Signatures[0].Header.KeyID != "k" {
		t.Error(err, string(payload))
	}
}
