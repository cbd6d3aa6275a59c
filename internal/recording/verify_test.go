package recording_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/recording"
)

func key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func find(id string) (ed25519.PublicKey, error) {
	if id != "prx_1" {
		return nil, errors.New("no such key")
	}
	return key().Public().(ed25519.PublicKey), nil
}

func verify(t *testing.T, text []byte) recording.Report {
	t.Helper()
	report, err := recording.Verify(bytes.NewReader(text), find)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// signedLines returns a recording with several signatures, line by line.
func signedLines(t *testing.T, id string) [][]byte {
	t.Helper()
	chain := recording.NewChain(key(), "prx_1", id)
	var lines [][]byte
	add := func(what any) {
		line, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		chain.Add(line)
		lines = append(lines, append(line, '\n'))
	}
	sign := func(at time.Duration, last bool) {
		token, err := chain.Sign(at, last)
		if err != nil {
			t.Fatal(err)
		}
		add([]any{at.Seconds(), recording.Signature, token})
	}
	add(recording.Header{Version: 2, Title: "exec demo/hello", Fairlead: recording.Metadata{SessionInfo: recording.SessionInfo{User: "corp:jane"}, ID: id, KeyID: "prx_1"}})
	for i := range 200 {
		at := time.Duration(i) * 100 * time.Millisecond
		add([]any{at.Seconds(), recording.Output, fmt.Sprintf("line %d\r\n", i)})
		if chain.Due(at) {
			sign(at, false)
		}
	}
	sign(time.Minute, true)
	return lines
}

// TestVerify tampers with a recording in many ways and checks that each change is reported.
func TestVerify(t *testing.T) {
	t.Parallel()
	lines := signedLines(t, "one")
	var signatures []int
	for i, line := range lines {
		if bytes.Contains(line, []byte(`,"s",`)) {
			signatures = append(signatures, i)
		}
	}
	if len(signatures) < 4 {
		t.Fatal("too few signatures", signatures)
	}
	other := signedLines(t, "two")
	second := signatures[1]
	flip := func(l [][]byte, i, at int) { l[i] = slices.Clone(l[i]); l[i][at] ^= 1 }
	for name, c := range map[string]struct {
		change func(l [][]byte) [][]byte
		want   string
	}{
		"nothing":         {func(l [][]byte) [][]byte { return l }, ""},
		"a bit of a line": {func(l [][]byte) [][]byte { flip(l, 10, 15); return l }, "line 11: was changed"},
		"a bit of the header": {func(l [][]byte) [][]byte {
			l[0] = bytes.Replace(l[0], []byte("corp:jane"), []byte("corp:june"), 1)
			return l
		}, "line 1: was changed"},
		"a bit of a signature":     {func(l [][]byte) [][]byte { flip(l, second, len(l[second])-20); return l }, fmt.Sprintf("line %d: the signature is not valid", second+1)},
		"the time of a line":       {func(l [][]byte) [][]byte { l[5] = append([]byte("[9"), l[5][1:]...); return l }, "line 6: was changed"},
		"a line is dropped":        {func(l [][]byte) [][]byte { return slices.Delete(l, 10, 11) }, "1 of these lines were removed"},
		"a line is added":          {func(l [][]byte) [][]byte { return slices.Insert(l, 10, []byte("[1.0,\"o\",\"x\"]\n")) }, "line 11: was added"},
		"a line is repeated":       {func(l [][]byte) [][]byte { return slices.Insert(l, 10, l[9]) }, "was added"},
		"two lines change places":  {func(l [][]byte) [][]byte { l[10], l[11] = l[11], l[10]; return l }, "line 11: the order was changed from here"},
		"a signed part is dropped": {func(l [][]byte) [][]byte { return slices.Delete(l, signatures[0]+1, second+1) }, "were removed together with their signatures"},
		"two parts change places":  {func(l [][]byte) [][]byte { return swap(l, signatures) }, "were removed together with their signatures"},
		"a part of another": {func(l [][]byte) [][]byte {
			copy(l[signatures[0]+1:second+1], other[signatures[0]+1:second+1])
			return l
		}, "the signature is not valid"},
		"the end is cut off":        {func(l [][]byte) [][]byte { return l[:len(l)-1] }, "without its final signature"},
		"cut off at a signature":    {func(l [][]byte) [][]byte { return l[:second+1] }, "without its final signature"},
		"cut off after the header":  {func(l [][]byte) [][]byte { return l[:1] }, "without its final signature"},
		"something after the end":   {func(l [][]byte) [][]byte { return append(l, []byte("\n[99,\"o\",\"x\"]\n")) }, "was added after the end"},
		"lines dropped and changed": {func(l [][]byte) [][]byte { flip(l, 12, 15); return slices.Delete(l, 10, 11) }, "2 lines were removed or changed, and 1 are new"},
	} {
		report := verify(t, bytes.Join(c.change(slices.Clone(lines)), nil))
		if got := strings.Join(report.Faults, "; "); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if c.want != "" && name != "cut off at a signature" && report.Signed == report.Lines {
			t.Errorf("%s: all lines count as signed", name)
		}
	}
	if _, err := recording.Verify(strings.NewReader(""), find); err == nil {
		t.Error("no error for an empty file")
	}
	if _, err := recording.Verify(strings.NewReader("{\"version\":2,\"fairlead\":{\"keyID\":\"prx_2\"}}\n"), find); err == nil || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("an unknown key: %v", err)
	}
}

// swap exchanges two signed parts.
func swap(l [][]byte, signatures []int) [][]byte {
	a, b := slices.Clone(l[signatures[0]+1:signatures[1]+1]), slices.Clone(l[signatures[1]+1:signatures[2]+1])
	return slices.Concat(l[:signatures[0]+1], b, a, l[signatures[2]+1:])
}
