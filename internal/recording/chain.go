package recording

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// signLines and signEvery are how much may come before it is signed.
	maxUnsignedLines = 50
	maxUnsignedTime  = 5 * time.Second
	// digestSize is how much of a line's digest is signed, in bytes: enough to say which line
	// was changed. That one was is said by the chain.
	digestSize = 8
)

// checkpoint is what is signed.
type checkpoint struct {
	ID string `json:"id"`
	// Lines is how many there are before this one, Chain what they come to.
	Lines int    `json:"lines"`
	Chain string `json:"chain"`
	// Digests are those of the lines since the last checkpoint.
	Digests []string `json:"digests"`
	// Last says that nothing follows.
	Last bool `json:"last,omitempty"`
}

// Chain is what the lines come to: the digest of each with all before it.
type Chain struct {
	id     string
	key    ed25519.PrivateKey
	keyID  string
	lines  int
	value  [sha256.Size]byte
	recent []string
	signed time.Duration
}

// NewChain begins one. Without a key it can't sign.
func NewChain(key ed25519.PrivateKey, keyID, id string) *Chain {
	return &Chain{id: id, key: key, keyID: keyID}
}

// Add adds a line, without its end.
func (c *Chain) Add(line []byte) {
	c.lines++
	c.value = sha256.Sum256(append(c.value[:], line...))
	c.recent = append(c.recent, digest(line))
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:digestSize])
}

// Due reports whether it is time to sign.
func (c *Chain) Due(at time.Duration) bool {
	return len(c.recent) >= maxUnsignedLines || at-c.signed >= maxUnsignedTime
}

// Sign signs how far the chain has come, for a line of kind Signed; last says that nothing
// follows.
func (c *Chain) Sign(at time.Duration, last bool) (string, error) {
	payload, err := json.Marshal(checkpoint{ID: c.id, Lines: c.lines, Chain: hex.EncodeToString(c.value[:]), Digests: c.recent, Last: last})
	if err != nil {
		return "", fmt.Errorf("signing recording: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: c.key, KeyID: c.keyID}}, (&jose.SignerOptions{}).WithType("fairlead-recording"))
	if err != nil {
		return "", fmt.Errorf("signing recording: %w", err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing recording: %w", err)
	}
	c.recent, c.signed = nil, at
	return object.CompactSerialize()
}
