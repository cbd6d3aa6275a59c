package saml

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// errNoCertificate is the problem of a text without a readable certificate.
var errNoCertificate = errors.New("must hold certificates, in PEM form or as base64. Paste the provider’s signing certificate")

// readCertificates returns the certificates of a text: PEM blocks, and base64 without
// armour, which is how metadata and admin pages show certificates.
func readCertificates(text string) ([]*x509.Certificate, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	blocks, bare := pemBlocks(text)
	var list []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, errNoCertificate
		}
		found, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return nil, errNoCertificate
		}
		list = append(list, found...)
	}
	found, err := readBareCertificates(bare)
	if err != nil {
		return nil, errNoCertificate
	}
	return append(list, found...), nil
}

// pemBlocks returns the PEM blocks of a text, and the text between them.
func pemBlocks(text string) (blocks []*pem.Block, between string) {
	var left strings.Builder
	for rest := []byte(text); ; {
		start := bytes.Index(rest, []byte("-----BEGIN "))
		if start < 0 {
			left.Write(rest)
			return blocks, left.String()
		}
		block, after := pem.Decode(rest[start:])
		if block == nil {
			left.Write(rest)
			return blocks, left.String()
		}
		left.Write(rest[:start])
		blocks, rest = append(blocks, block), after
	}
}

// readBareCertificates reads base64 of certificates that follow one another. Padding
// ends a certificate; without padding the next one continues the same bytes.
func readBareCertificates(text string) ([]*x509.Certificate, error) {
	text = strings.Join(strings.Fields(text), "")
	var list []*x509.Certificate
	for text != "" {
		end := len(text)
		if i := strings.IndexByte(text, '='); i >= 0 {
			end = i + len(text[i:]) - len(strings.TrimLeft(text[i:], "="))
		}
		raw, err := base64.StdEncoding.DecodeString(text[:end])
		if err != nil {
			return nil, fmt.Errorf("decoding base64: %w", err)
		}
		found, err := x509.ParseCertificates(raw)
		if err != nil {
			return nil, fmt.Errorf("reading certificate: %w", err)
		}
		list, text = append(list, found...), text[end:]
	}
	return list, nil
}

// keyPair is our key pair: the first key and its certificate, and older keys that still
// decrypt.
type keyPair struct {
	keys        []*rsa.PrivateKey
	certificate *x509.Certificate
}

// readKeyPair reads private keys and the certificate of the first of them. It returns
// nil without any.
func readKeyPair(text secret.Value) (*keyPair, error) {
	if strings.TrimSpace(text.Reveal()) == "" {
		return nil, nil
	}
	blocks, _ := pemBlocks(text.Reveal())
	pair := &keyPair{}
	var certificates []*x509.Certificate
	for _, block := range blocks {
		if block.Type == "CERTIFICATE" {
			found, err := x509.ParseCertificates(block.Bytes)
			if err != nil {
				return nil, errors.New("holds a certificate that can’t be read. Paste it from the line BEGIN CERTIFICATE on")
			}
			certificates = append(certificates, found...)
			continue
		}
		key, err := readPrivateKey(block)
		if err != nil {
			return nil, err
		}
		pair.keys = append(pair.keys, key)
	}
	if len(pair.keys) == 0 {
		return nil, errors.New("must hold a private RSA key. Paste it from the line BEGIN PRIVATE KEY on, or generate a key pair")
	}
	for _, c := range certificates {
		if pair.keys[0].PublicKey.Equal(c.PublicKey) {
			pair.certificate = c
		}
	}
	if pair.certificate == nil {
		return nil, errors.New("must hold the certificate of its first key, which the SP metadata shows. Paste it below the key")
	}
	return pair, nil
}

func readPrivateKey(block *pem.Block) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if block.Type == "RSA PRIVATE KEY" {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("must hold private RSA keys without a password. Decrypt the key, or generate a key pair")
	}
	if key.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("has a key of %d bits. Use one with at least %d bits, or generate a key pair", key.N.BitLen(), minKeyBits)
	}
	return key, nil
}

const (
	// minKeyBits is the smallest key that is accepted, and newKeyBits the size of a generated one.
	minKeyBits, newKeyBits = 2048, 3072
	// keyYears is how long a generated certificate is valid. Providers only use its key.
	keyYears = 10
	// serialBits is the size of the serial number of that certificate.
	serialBits = 120
)

// generateKeyPair returns the setting with a new key pair. The stored key stays behind
// it, so that it decrypts until the provider uses the new certificate.
func generateKeyPair(_ context.Context, env connectors.Env, _ string, stored map[string]any) (map[string]any, error) {
	key, err := rsa.GenerateKey(rand.Reader, newKeyBits)
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	certificate, err := selfSigned(env, key)
	if err != nil {
		return nil, err
	}
	keys := []*rsa.PrivateKey{key}
	old, _ := stored["keyPair"].(string)
	if pair, err := readKeyPair(secret.NewValue(old)); err == nil && pair != nil {
		keys = append(keys, pair.keys[0])
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for _, k := range keys {
		private, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return nil, fmt.Errorf("encoding key: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	}
	return map[string]any{"keyPair": string(text)}, nil
}

// selfSigned returns a certificate for our key.
func selfSigned(env connectors.Env, key *rsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("generating serial number: %w", err)
	}
	name := "fairlead"
	if u, err := url.Parse(env.CallbackURL); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	}
	now := env.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(keyYears, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making certificate: %w", err)
	}
	return certificate, nil
}
