package browser

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// styleHash is what the page's policy allows: the very style sheet in it.
func styleHash() string {
	_, rest, _ := strings.Cut(resultHTML, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
