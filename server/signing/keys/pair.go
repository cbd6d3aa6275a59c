package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// rsaBits is the size of RSA keys. Every consumer accepts it, and a signature costs a quarter of one with 4096
// bits.
const rsaBits = 2048

// newKeyPair is a new key pair.
type newKeyPair struct {
	id            string
	pkcs8, public []byte
}

func generateKeyPair(alg jose.SignatureAlgorithm) (*newKeyPair, error) {
	var (
		key crypto.Signer
		err error
	)
	switch alg {
	case RS256:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("algorithm %s is not supported", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("making key: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	id := secret.ID("key")
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: string(alg), Use: "sig"})
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return &newKeyPair{id: id, pkcs8: pkcs8, public: public}, nil
}

// signingKey is a parsed key. Parsing it again for each signature would cost more than a quarter of the signature.
type signingKey struct {
	alg      jose.SignatureAlgorithm
	public   json.RawMessage
	signer   jose.Signer
	verifier crypto.PublicKey
	// newSigner returns a signer for another "typ" header.
	newSigner func(jose.ContentType) (jose.Signer, error)
	activated time.Time
}

func parseSigningKey(row *store.SigningKey, open func(*store.SigningKey) ([]byte, error)) (*signingKey, error) {
	pkcs8, err := open(row)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, fmt.Errorf("parsing key %s: %w", row.ID, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s can't sign", row.ID)
	}
	alg := jose.SignatureAlgorithm(row.Algorithm)
	typed := func(kind jose.ContentType) (jose.Signer, error) {
		return jose.NewSigner(
			jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: parsed, KeyID: row.ID}}, (&jose.SignerOptions{}).WithType(kind))
	}
	signer, err := typed("JWT")
	if err != nil {
		return nil, fmt.Errorf("using key %s: %w", row.ID, err)
	}
	return &signingKey{alg: alg, public: json.RawMessage(row.Public), signer: signer, verifier: key.Public(), newSigner: typed}, nil
}

// snapshot holds the keys at one moment. It never changes.
type snapshot struct {
	// known are the published keys and those that recognize hints only.
	known  map[string]*signingKey
	active map[jose.SignatureAlgorithm]*signingKey
	jwks   []byte
	etag   string
}

// update returns the snapshot of rows. It reuses the parsed keys of the last snapshot.
func (s *snapshot) update(rows []store.SigningKey, hasLeft func(*store.SigningKey) bool, open func(*store.SigningKey) ([]byte, error)) (*snapshot, error) {
	fresh := &snapshot{known: map[string]*signingKey{}, active: map[jose.SignatureAlgorithm]*signingKey{}}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for i := range rows {
		row := &rows[i]
		if row.State == store.KeyRevoked {
			continue
		}
		k := s.known[row.ID]
		if k == nil {
			var err error
			if k, err = parseSigningKey(row, open); err != nil {
				return nil, err
			}
		}
		fresh.known[row.ID] = k
		if !hasLeft(row) {
			set.Keys = append(set.Keys, k.public)
		}
		if row.State == store.KeyActive {
			active := *k
			active.activated = row.Activated.Time()
			fresh.active[k.alg] = &active
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding key set: %w", err)
	}
	fresh.jwks, fresh.etag = body, `"`+secret.Hash(string(body))[:16]+`"`
	return fresh, nil
}
