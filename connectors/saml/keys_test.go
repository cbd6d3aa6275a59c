package saml_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

// bare is the base64 of a certificate without armour.
func bare(pem string) string {
	lines := strings.Split(strings.TrimSpace(pem), "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	next := time.Now().AddDate(1, 0, 0)
	a, b := fakesaml.New(t, next).Certificate(), fakesaml.New(t, next).Certificate()
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"PEM":                      {a, 1},
		"two in PEM":               {a + b, 2},
		"base64":                   {bare(a), 1},
		"base64 in lines":          {strings.TrimSuffix(strings.SplitN(a, "\n", 2)[1], "-----END CERTIFICATE-----\n"), 1},
		"two in base64":            {bare(a) + "\r\n\r\n" + bare(b), 2},
		"two in base64, no blank":  {bare(a) + bare(b), 2},
		"PEM and base64":           {a + bare(b), 2},
		"base64 and PEM":           {bare(b) + "\n" + a, 2},
		"PEM with Windows endings": {strings.ReplaceAll(a, "\n", "\r\n"), 1},
		"indented PEM":             {"  " + a, 1},
		"nothing":                  {" \n", 0},
	} {
		if got, err := saml.CountCertificates(c.text); got != c.want || err != nil {
			t.Errorf("%s: %d certificates, want %d: %v", name, got, c.want, err)
		}
	}
	for name, text := range map[string]string{
		"cut off": bare(a)[:200], "other text": "the certificate", "broken PEM": "-----BEGIN CERTIFICATE-----\nMIIC", "another block": "-----BEGIN X-----\nAAAA\n-----END X-----\n",
	} {
		if got, err := saml.CountCertificates(text); err == nil {
			t.Errorf("%s: %d certificates", name, got)
		}
	}
}

func TestKeyPairs(t *testing.T) {
	t.Parallel()
	next := time.Now().AddDate(1, 0, 0)
	a, b := fakesaml.New(t, next), fakesaml.New(t, next)
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"one": {a.KeyPair(), 1}, "two": {a.KeyPair() + b.KeyPair(), 2}, "none": {"", 0},
		"without a certificate": {strings.Split(a.KeyPair(), "-----BEGIN CERTIFICATE")[0], -1}, "the certificate of another key": {strings.Split(a.KeyPair(), "-----BEGIN CERTIFICATE")[0] + b.Certificate(), -1},
		"only a certificate": {a.Certificate(), -1}, "text": {"key", -1}, "an encrypted key": {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", -1},
	} {
		if got, err := saml.CountKeys(c.text); (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%s: %d keys, want %d: %v", name, got, c.want, err)
		}
	}
	// The key before a generated one still decrypts.
	for stored, want := range map[string]int{"": 1, a.KeyPair() + b.KeyPair(): 2, "no key": 1} {
		made, err := filler(t, "keys").Fill(t.Context(), connectortest.Env(nil), "", map[string]any{"keyPair": stored})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := made["keyPair"].(string)
		if n, err := saml.CountKeys(text); n != want || err != nil {
			t.Errorf("a generated key pair: %d keys, want %d: %v", n, want, err)
		}
	}
}

func filler(t *testing.T, name string) connectors.Filler {
	t.Helper()
	for _, f := range saml.Type().Fillers {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no filler %s", name)
	return connectors.Filler{}
}
