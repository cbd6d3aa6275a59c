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

// ErrSealed means that a sealed text can't be opened: it was changed, sealed for another
// context, or sealed with a key that the keyring doesn't hold.
var ErrSealed = errors.New("the sealed text was changed or sealed with another key or context")

// keySize is the size of a data key in bytes: AES-256.
const keySize = 32

// Keyring encrypts (seals) small texts with AES-256-GCM and a random nonce. The context is
// authenticated too, so that a sealed text can't be opened in another row or column. The
// first key seals and every key opens, so that a data key can be rotated.
type Keyring struct {
	primary string
	keys    map[string]cipher.AEAD
}

// NewKeyring returns a keyring with one or more keys of 32 bytes each; the first one seals.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a keyring must have at least one data key")
	}
	ring := &Keyring{keys: map[string]cipher.AEAD{}}
	for _, key := range keys {
		if len(key) != keySize {
			return nil, fmt.Errorf("a data key has %d bytes, must have %d", len(key), keySize)
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

// NewKey returns a random data key of 32 bytes.
func NewKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

// Seal encrypts plain for a context. The context isn't stored: Open needs the same one. Use
// a complete name, such as "table.column:row id".
func (r *Keyring) Seal(context string, plain []byte) string {
	aead := r.keys[r.primary]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	sealed := aead.Seal(nonce, nonce, plain, []byte(context))
	return r.primary + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open decrypts a text that Seal sealed for the same context. The error is ErrSealed.
func (r *Keyring) Open(context, sealed string) ([]byte, error) {
	id, body, _ := strings.Cut(sealed, ".")
	aead, known := r.keys[id]
	if !known {
		return nil, ErrSealed
	}
	return open(aead, context, body)
}

// SealUnder encrypts plain with a key derived from a token. Only a caller with that token
// can open the text, and the server stores only the token's hash.
func SealUnder(token, context string, plain []byte) (string, error) {
	aead, err := tokenAEAD(token)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, []byte(context))), nil
}

// OpenUnder decrypts a text that SealUnder sealed for the same token and context. The error
// is ErrSealed.
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
		return nil, fmt.Errorf("deriving the key from the token: %w", err)
	}
	return newAEAD(key)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("creating the AES-GCM cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("creating the AES-GCM cipher: %w", err)
	}
	return aead, nil
}

func open(aead cipher.AEAD, context, body string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	// The decoder skips line breaks. They are refused, so that a sealed text has one form.
	if err != nil || len(raw) < aead.NonceSize() || strings.ContainsAny(body, "\r\n") {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
