// Package jwks reads JSON Web Key Sets (RFC 7517) that other systems publish. A
// key that can't be read is skipped, and members that verification does not need
// (the certificates in x5c) are ignored: neither makes the other keys unreadable.
package jwks

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// MaxKeys is how many keys of a set are read.
const MaxKeys = 100

// ErrNoKeys means that a set has no key that can verify a signature.
var ErrNoKeys = errors.New("the key set has no usable key")

// Parse reads a key set and returns its public keys for signatures. Skipped counts
// the entries that were left out: unreadable, symmetric, or for encryption.
func Parse(text []byte) (set jose.JSONWebKeySet, skipped int, err error) {
	var raw struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return set, 0, fmt.Errorf("decoding the key set: %w", err)
	}
	for i, entry := range raw.Keys {
		key, ok := parseKey(entry)
		if !ok || i >= MaxKeys {
			skipped++
			continue
		}
		set.Keys = append(set.Keys, key)
	}
	if len(set.Keys) == 0 {
		return set, skipped, ErrNoKeys
	}
	return set, skipped, nil
}

// parseKey reads one key without the members about certificates.
func parseKey(entry map[string]json.RawMessage) (key jose.JSONWebKey, ok bool) {
	for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u"} {
		delete(entry, name)
	}
	text, err := json.Marshal(entry)
	if err != nil || json.Unmarshal(text, &key) != nil {
		return key, false
	}
	return key, key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig")
}

// HasSecret reports whether a key set holds a private or symmetric key, which must not be
// published. The error means that the text is no key set.
func HasSecret(text []byte) (bool, error) {
	var raw struct {
		Keys []struct {
			D json.RawMessage `json:"d"`
			K json.RawMessage `json:"k"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return false, fmt.Errorf("decoding the key set: %w", err)
	}
	for _, key := range raw.Keys {
		if key.D != nil || key.K != nil {
			return true, nil
		}
	}
	return false, nil
}
