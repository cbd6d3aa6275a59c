package recording

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Report says what a recording is worth.
type Report struct {
	Header Header
	// Lines is how many there are, Signed how many of them are as they were signed.
	Lines, Signed int
	// Duration is the time of the last event.
	Duration time.Duration
	// Faults are what is wrong with it. None means that it is whole and unchanged.
	Faults []string
}

// Verify reads a recording and says what was done to it since it was made. Find returns the
// public key of a key id. An error means that it can't be read at all.
func Verify(file io.Reader, find func(keyID string) (ed25519.PublicKey, error)) (Report, error) {
	v := verifier{expected: NewChain(nil, "", "")}
	lines := scan(file)
	for lines.Scan() {
		if err := v.line(slices.Clone(lines.Bytes()), find); err != nil {
			return v.report, err
		}
	}
	if err := lines.Err(); err != nil {
		return v.report, fmt.Errorf("reading recording: %w", err)
	}
	if v.key == nil {
		return v.report, errors.New("reading recording: it is empty")
	}
	v.finish()
	return v.report, nil
}

type verifier struct {
	report   Report
	key      ed25519.PublicKey
	expected *Chain
	pending  [][]byte // since the last checkpoint, which is one of them
	mark     int      // the line of the last checkpoint
	last     bool
}

func (v *verifier) fault(format string, args ...any) {
	v.report.Faults = append(v.report.Faults, fmt.Sprintf(format, args...))
}

func (v *verifier) line(line []byte, find func(string) (ed25519.PublicKey, error)) error {
	v.report.Lines++
	if v.key == nil {
		if err := v.report.Header.parse(line); err != nil {
			return err
		}
		key, err := find(v.report.Header.Fairlead.KeyID)
		if err != nil {
			return err
		}
		v.key = key
		v.pending = append(v.pending, line)
		return nil
	}
	if v.last {
		v.fault("line %d: added after the end", v.report.Lines)
		return nil
	}
	event, ok := parse(line)
	v.report.Duration = max(v.report.Duration, event.At)
	if !ok || event.Kind != Signature {
		v.pending = append(v.pending, line)
		return nil
	}
	v.checkpoint(line, event.Text)
	return nil
}

// checkpoint compares what came with what was signed, and goes on from there.
func (v *verifier) checkpoint(line []byte, token string) {
	at := v.report.Lines
	said, err := v.open(token)
	if err != nil {
		v.fault("line %d: the signature is not good", at)
		for _, p := range v.pending {
			v.expected.Add(p)
		}
		v.pending, v.mark = [][]byte{line}, at // the next one signs it as well
		return
	}
	before := at - 1 - len(v.pending) // lines before those that are compared
	start := said.Lines - len(said.Digests)
	if missing := start - v.expected.lines; missing > 0 {
		v.fault("lines %d to %d were dropped, with what signed them", v.expected.lines+1, start)
	} else if missing < 0 {
		v.fault("line %d: what comes before it stands in another place", at)
	}
	same := v.compare(before, said.Digests)
	for _, p := range v.pending {
		v.expected.Add(p)
	}
	if chained := hex.EncodeToString(v.expected.value[:]) == said.Chain; same && chained && v.expected.lines == said.Lines {
		v.report.Signed += at - v.mark
	} else if same && len(v.report.Faults) == 0 {
		v.fault("line %d: the chain is broken before it", at)
	}
	v.trust(said)
	v.pending, v.mark, v.last = [][]byte{line}, at, said.Last
}

// trust goes on from what was signed, so that one fault is not found again and again.
func (v *verifier) trust(said checkpoint) {
	v.expected.lines = said.Lines
	if sum, err := hex.DecodeString(said.Chain); err == nil {
		copy(v.expected.value[:], sum)
	}
}

func (v *verifier) open(token string) (said checkpoint, err error) {
	object, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return said, fmt.Errorf("reading signature: %w", err)
	}
	payload, err := object.Verify(v.key)
	if err != nil {
		return said, fmt.Errorf("checking signature: %w", err)
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return said, fmt.Errorf("reading signature: %w", err)
	}
	if said.ID != v.report.Header.Fairlead.ID || said.Lines < len(said.Digests) {
		return said, errors.New("the signature is another recording's")
	}
	return said, nil
}

// compare names what was done to the lines since the last checkpoint.
func (v *verifier) compare(before int, want []string) bool {
	got := make([]string, len(v.pending))
	for i, line := range v.pending {
		got[i] = digest(line)
	}
	if slices.Equal(got, want) {
		return true
	}
	lost, added := difference(want, got), difference(got, want)
	switch {
	case len(lost) == 0 && len(added) == 0:
		moved := 0
		for got[moved] == want[moved] {
			moved++
		}
		v.fault("line %d: the order was changed from here", before+moved+1)
	case len(lost) == len(added):
		v.name(before, got, added, "was changed")
	case len(added) == 0:
		v.fault("lines %d to %d: %d lines were dropped among them", before+1, before+len(want), len(lost))
	case len(lost) == 0:
		v.name(before, got, added, "was added")
	default:
		v.fault("lines %d to %d: %d lines were dropped or changed, %d are new", before+1, before+len(got), len(lost), len(added))
	}
	return false
}

// name says of some lines what was done to them.
func (v *verifier) name(before int, got, these []string, what string) {
	for i := range got {
		if slices.Contains(these, got[i]) {
			v.fault("line %d: %s", before+i+1, what)
		}
	}
}

// difference is what is in a but not in b, as often as it is.
func difference(a, b []string) []string {
	left := slices.Clone(b)
	var out []string
	for _, s := range a {
		if i := slices.Index(left, s); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		out = append(out, s)
	}
	return out
}

func (v *verifier) finish() {
	if v.last {
		return
	}
	if loose := v.report.Lines - v.mark; loose > 0 {
		v.fault("%d lines at the end are not signed", loose)
	}
	v.fault("it ends after line %d without its last signature: it was cut off, or the proxy was killed", v.report.Lines)
}
