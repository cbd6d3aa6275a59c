package conformance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"testing"
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkSecret wants printable characters, 128 bits of length and more than 96
// bits by Shannon's estimate, as the certification suite does.
func checkSecret(t *testing.T, what, text string) {
	t.Helper()
	counts := map[rune]float64{}
	for _, r := range text {
		if r < 0x20 || r > 0x7e {
			t.Errorf("%s has %q", what, r)
		}
		counts[r]++
	}
	bits := 0.0
	for _, n := range counts {
		p := n / float64(len(text))
		bits -= p * math.Log2(p)
	}
	if bits *= float64(len(text)); len(text)*8 < 128 || bits <= 96 {
		t.Errorf("%s has %d characters and %.0f bits", what, len(text), bits)
	}
}
