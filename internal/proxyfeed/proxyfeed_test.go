package proxyfeed_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
)

const server = "https://login.test"

func TestPass(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKey{Key: public})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	find := func(id string) (string, error) {
		if id != "prx_1" {
			return "", errors.New("nobody")
		}
		return string(text), nil
	}
	pass, err := proxyfeed.SignAssertion(private, "prx_1", server, now)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := proxyfeed.VerifyAssertion(pass, server, now.Add(30*time.Second), find); err != nil || id != "prx_1" {
		t.Errorf("%q, %v", id, err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing":       "",
		"too long":      strings.Repeat("a", 5000),
		"other server":  made(t, private, forged{"prx_1", "prx_1", "https://elsewhere.test", now, time.Minute}),
		"other proxy":   made(t, private, forged{"prx_1", "prx_2", server, now, time.Minute}),
		"unknown proxy": made(t, private, forged{"prx_2", "prx_2", server, now, time.Minute}),
		"other key":     made(t, stranger, forged{"prx_1", "prx_1", server, now, time.Minute}),
		"no key id":     made(t, private, forged{"", "prx_1", server, now, time.Minute}),
		"old":           made(t, private, forged{"prx_1", "prx_1", server, now.Add(-time.Hour), time.Minute}),
		"of tomorrow":   made(t, private, forged{"prx_1", "prx_1", server, now.Add(time.Hour), time.Minute}),
		"for ever":      made(t, private, forged{"prx_1", "prx_1", server, now, time.Hour}),
		"cut":           pass[:len(pass)-3],
		"alg none":      "eyJhbGciOiJub25lIiwia2lkIjoicHJ4XzEifQ." + strings.Split(pass, ".")[1] + ".",
	} {
		if id, err := proxyfeed.VerifyAssertion(bad, server, now, find); err == nil {
			t.Errorf("%s: taken as %s", name, id)
		}
	}
}

// forged is what a pass says.
type forged struct {
	kid, iss, aud string
	at            time.Time
	life          time.Duration
}

func made(t *testing.T, key ed25519.PrivateKey, f forged) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: f.kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pass, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: f.iss, Subject: f.iss, Audience: jwt.Audience{f.aud}, IssuedAt: jwt.NewNumericDate(f.at), Expiry: jwt.NewNumericDate(f.at.Add(f.life))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return pass
}

func TestKeys(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := proxyfeed.CheckKey(jose.JSONWebKey{Key: public}); err != nil {
		t.Error(err)
	}
	for _, key := range []any{private, other.Public(), []byte("secret"), nil} {
		if proxyfeed.CheckKey(jose.JSONWebKey{Key: key}) == nil {
			t.Errorf("%T is taken", key)
		}
	}
}
