package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrSealed reports that a sealed text can't be opened: it was changed, made
// for another context, or sealed under a key that the ring doesn't hold.
var ErrSealed = errors.New("sealed text does not open")

// keySize is the size of a data key in bytes: AES-256.
const keySize = 32

// Keyring seals small texts with AES-256-GCM, a random nonce and a bound
// context, so that a sealed text moved to another row or column doesn't open.
// The first key seals, every key opens: that is how a data key is replaced.
type Keyring struct {
	primary string
	keys    map[string]cipher.AEAD
}

// NewKeyring makes a ring of keys of 32 bytes each; the first one seals.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a key ring needs a key")
	}
	ring := &Keyring{keys: map[string]cipher.AEAD{}}
	for _, key := range keys {
		if len(key) != keySize {
			return nil, fmt.Errorf("a data key has %d bytes, want %d", len(key), keySize)
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		id := Hash("fairlead data key id" + string(key))[:8]
		ring.keys[id] = aead
		if ring.primary == "" {
			ring.primary = id
		}
	}
	return ring, nil
}

// NewKey returns a fresh data key of 32 bytes.
func NewKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

// Seal encrypts plain for the context. The context isn't stored: the same one
// must be given to Open. Make it "table.column:row id" or a similar full name.
func (r *Keyring) Seal(context string, plain []byte) string {
	aead := r.keys[r.primary]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	sealed := aead.Seal(nonce, nonce, plain, []byte(context))
	return r.primary + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open decrypts what Seal made for the same context. The error is ErrSealed.
func (r *Keyring) Open(context, sealed string) ([]byte, error) {
	id, body, _ := strings.Cut(sealed, ".")
	aead, known := r.keys[id]
	if !known {
		return nil, ErrSealed
	}
	return open(aead, context, body)
}

// SealUnder encrypts plain under a key derived from a token, for whoever can
// present that token again. Nothing that is stored opens it.
func SealUnder(token, context string, plain []byte) (string, error) {
	aead, err := tokenAEAD(token)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, []byte(context))), nil
}

// OpenUnder decrypts what SealUnder made for the same token and context. The
// error is ErrSealed.
func OpenUnder(token, context, sealed string) ([]byte, error) {
	aead, err := tokenAEAD(token)
	if err != nil {
		return nil, err
	}
	return open(aead, context, sealed)
}

func tokenAEAD(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "fairlead seal under token", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving key: %w", err)
	}
	return newAEAD(key)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	return aead, nil
}

func open(aead cipher.AEAD, context, body string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	// One text for one seal: the decoder skips line breaks.
	if err != nil || len(raw) < aead.NonceSize() || strings.ContainsAny(body, "\r\n") {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
