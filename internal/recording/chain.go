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
	// maxUnsignedLines and maxUnsignedTime are the limits after which a signature is due.
	maxUnsignedLines = 50
	maxUnsignedTime  = 5 * time.Second
	// digestSize is the length of a line's digest in a checkpoint, in bytes. It only has to identify
	// a changed line: the full hash of the chain shows that a line was changed.
	digestSize = 8
)

// checkpoint is the content of a signature line.
type checkpoint struct {
	ID string `json:"id"`
	// Lines is the number of lines before this one, Chain the hash chain over them.
	Lines int    `json:"lines"`
	Chain string `json:"chain"`
	// Digests are the digests of the lines since the last checkpoint.
	Digests []string `json:"digests"`
	// Last says that no line follows.
	Last bool `json:"last,omitempty"`
}

// Chain is a hash chain over the lines of a recording.
type Chain struct {
	id     string
	key    ed25519.PrivateKey
	keyID  string
	lines  int
	value  [sha256.Size]byte
	recent []string
	signed time.Duration
}

// NewChain returns an empty chain. Without a key it cannot sign.
func NewChain(key ed25519.PrivateKey, keyID, id string) *Chain {
	return &Chain{id: id, key: key, keyID: keyID}
}

// Add adds a line without its line break.
func (c *Chain) Add(line []byte) {
	c.lines++
	c.value = sha256.Sum256(append(c.value[:], line...))
	c.recent = append(c.recent, digest(line))
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:digestSize])
}

// Due reports whether a signature is due at the given time of the recording.
func (c *Chain) Due(at time.Duration) bool {
	return len(c.recent) >= maxUnsignedLines || at-c.signed >= maxUnsignedTime
}

// Sign returns a signature over the chain, for an event of kind Signature. Last says that no line
// follows.
func (c *Chain) Sign(at time.Duration, last bool) (string, error) {
	payload, err := json.Marshal(checkpoint{ID: c.id, Lines: c.lines, Chain: hex.EncodeToString(c.value[:]), Digests: c.recent, Last: last})
	if err != nil {
		return "", fmt.Errorf("signing the recording: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: c.key, KeyID: c.keyID}}, (&jose.SignerOptions{}).WithType("fairlead-recording"))
	if err != nil {
		return "", fmt.Errorf("signing the recording: %w", err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing the recording: %w", err)
	}
	c.recent, c.signed = nil, at
	return object.CompactSerialize()
}
