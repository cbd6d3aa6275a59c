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

// Report is the result of verifying a recording.
type Report struct {
	Header Header
	// Lines is the number of lines, Signed the number of lines that match their signatures.
	Lines, Signed int
	// Duration is the time of the last event.
	Duration time.Duration
	// Faults lists the changes that were found. Without faults, the recording is complete and unchanged.
	Faults []string
}

// Verify reads a recording and lists the changes that were made to it. Find returns the public key with
// an ID. An error means that the recording cannot be read at all.
func Verify(file io.Reader, find func(keyID string) (ed25519.PublicKey, error)) (Report, error) {
	v := verifier{expected: NewChain(nil, "", "")}
	lines := scan(file)
	for lines.Scan() {
		if err := v.line(slices.Clone(lines.Bytes()), find); err != nil {
			return v.report, err
		}
	}
	if err := lines.Err(); err != nil {
		return v.report, fmt.Errorf("reading the recording: %w", err)
	}
	if v.key == nil {
		return v.report, errors.New("reading the recording: it is empty")
	}
	v.finish()
	return v.report, nil
}

type verifier struct {
	report         Report
	key            ed25519.PublicKey
	expected       *Chain
	pending        [][]byte // the lines since the last checkpoint, including that one
	lastCheckpoint int      // its line number
	last           bool
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
		v.fault("line %d: was added after the end", v.report.Lines)
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

// checkpoint compares the pending lines with a signed checkpoint.
func (v *verifier) checkpoint(line []byte, token string) {
	at := v.report.Lines
	signed, err := v.verifySignature(token)
	if err != nil {
		v.fault("line %d: the signature is not valid", at)
		for _, p := range v.pending {
			v.expected.Add(p)
		}
		v.pending, v.lastCheckpoint = [][]byte{line}, at // the next checkpoint covers this line as well
		return
	}
	before := at - 1 - len(v.pending) // the number of lines before the pending ones
	start := signed.Lines - len(signed.Digests)
	if missing := start - v.expected.lines; missing > 0 {
		v.fault("lines %d to %d were removed together with their signatures", v.expected.lines+1, start)
	} else if missing < 0 {
		v.fault("line %d: the lines before it were moved", at)
	}
	same := v.compare(before, signed.Digests)
	for _, p := range v.pending {
		v.expected.Add(p)
	}
	if chained := hex.EncodeToString(v.expected.value[:]) == signed.Chain; same && chained && v.expected.lines == signed.Lines {
		v.report.Signed += at - v.lastCheckpoint
	} else if same && len(v.report.Faults) == 0 {
		v.fault("line %d: the chain is broken before it", at)
	}
	v.resume(signed)
	v.pending, v.lastCheckpoint, v.last = [][]byte{line}, at, signed.Last
}

// resume continues from the signed state, so that one change is reported only once.
func (v *verifier) resume(signed checkpoint) {
	v.expected.lines = signed.Lines
	if sum, err := hex.DecodeString(signed.Chain); err == nil {
		copy(v.expected.value[:], sum)
	}
}

func (v *verifier) verifySignature(token string) (signed checkpoint, err error) {
	object, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return signed, fmt.Errorf("reading the signature: %w", err)
	}
	payload, err := object.Verify(v.key)
	if err != nil {
		return signed, fmt.Errorf("verifying the signature: %w", err)
	}
	if err := json.Unmarshal(payload, &signed); err != nil {
		return signed, fmt.Errorf("reading the signature: %w", err)
	}
	if signed.ID != v.report.Header.Fairlead.ID || signed.Lines < len(signed.Digests) {
		return signed, errors.New("the signature belongs to another recording")
	}
	return signed, nil
}

// compare reports the changes in the pending lines.
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
		v.faultLines(before, got, added, "was changed")
	case len(added) == 0:
		v.fault("lines %d to %d: %d of these lines were removed", before+1, before+len(want), len(lost))
	case len(lost) == 0:
		v.faultLines(before, got, added, "was added")
	default:
		v.fault("lines %d to %d: %d lines were removed or changed, and %d are new", before+1, before+len(got), len(lost), len(added))
	}
	return false
}

// faultLines reports the same change for several lines.
func (v *verifier) faultLines(before int, got, digests []string, change string) {
	for i := range got {
		if slices.Contains(digests, got[i]) {
			v.fault("line %d: %s", before+i+1, change)
		}
	}
}

// difference returns the elements of a that are not in b, with multiplicity.
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
	if unsigned := v.report.Lines - v.lastCheckpoint; unsigned > 0 {
		v.fault("%d lines at the end are not signed", unsigned)
	}
	v.fault("the recording ends after line %d without its final signature: its end was removed, or the proxy was killed", v.report.Lines)
}
