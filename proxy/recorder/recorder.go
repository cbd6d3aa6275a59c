// Package recorder records terminal sessions in asciicast v2 files that reveal later changes: each line
// is part of a hash chain, and the proxy signs the chain. It reads the data of a session without
// changing it.
package recorder

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/fairlead-auth/fairlead/internal/recording"
)

// Recorder creates recordings.
type Recorder struct {
	// Dir is the directory of the recordings, one file each.
	Dir string
	// Key signs the recordings, and KeyID identifies it.
	Key   ed25519.PrivateKey
	KeyID string
	// RecordStdin records input as well, including passwords that the terminal does not show.
	RecordStdin bool
	// Required ends a session that cannot be recorded.
	Required bool
	// MaxBytes bounds the size of a recording; zero means no limit.
	MaxBytes int64
	Now      func() time.Time
	// OnFailure is called once for each recording that becomes incomplete.
	OnFailure func(id string, err error)
}

// The size of a terminal until the client sends another one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// FileSuffix ends the file name of a recording. While the session runs, OpenSuffix follows it.
const (
	FileSuffix = ".cast"
	OpenSuffix = ".open"
)

// ErrTooLarge says that a recording has reached MaxBytes.
var ErrTooLarge = errors.New("the recording has reached its maximum size")

// Recording is the recording of one session. It is safe for concurrent use.
type Recording struct {
	recorder *Recorder
	id       string
	file     string
	started  time.Time

	mu           sync.Mutex
	out          io.WriteCloser
	size         int64
	chain        *recording.Chain
	partialRunes map[string][]byte // the first bytes of an incomplete character, by event kind
	err          error
	closed       bool
}

// Begin creates the file of a recording and writes its header.
func (r *Recorder) Begin(about recording.SessionInfo, title, command string) (*Recording, error) {
	now := r.Now()
	id := uuid.NewString()
	rec := &Recording{recorder: r, id: id, started: now, chain: recording.NewChain(r.Key, r.KeyID, id), partialRunes: map[string][]byte{}}
	rec.file = filepath.Join(r.Dir, now.UTC().Format("20060102T150405.000Z-")+id+FileSuffix)
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting a recording: %w", err)
	}
	out, err := os.OpenFile(rec.file+OpenSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting a recording: %w", err)
	}
	rec.out = out
	line, err := json.Marshal(recording.Header{
		Version: 2, Width: defaultWidth, Height: defaultHeight, Timestamp: now.Unix(), Title: title, Command: command,
		Fairlead: recording.Metadata{SessionInfo: about, ID: id, KeyID: r.KeyID, Stdin: r.RecordStdin},
	})
	if err != nil {
		return nil, fmt.Errorf("starting a recording: %w", err)
	}
	if err := rec.writeLine(line); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return rec, nil
}

// ID returns the recording's UUID.
func (rec *Recording) ID() string { return rec.id }

// Output records output of the terminal.
func (rec *Recording) Output(p []byte) error { return rec.writeText(recording.Output, p) }

// Input records input, if RecordStdin is set.
func (rec *Recording) Input(p []byte) error {
	if !rec.recorder.RecordStdin {
		return nil
	}
	return rec.writeText(recording.Input, p)
}

// Resize records a new size of the terminal.
func (rec *Recording) Resize(width, height uint16) error {
	return rec.writeEvent(recording.Resize, fmt.Sprintf("%dx%d", width, height))
}

// Mark records a marker event.
func (rec *Recording) Mark(text string) error { return rec.writeEvent(recording.Marker, text) }

// writeText records complete characters. JSON encoding replaces invalid bytes by U+FFFD.
func (rec *Recording) writeText(kind string, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	rec.mu.Lock()
	p = append(rec.partialRunes[kind], p...)
	cut := completeRunes(p)
	rec.partialRunes[kind] = append([]byte(nil), p[cut:]...)
	rec.mu.Unlock()
	if cut == 0 {
		return nil
	}
	return rec.writeEvent(kind, string(p[:cut]))
}

// completeRunes returns the length of p without an incomplete character at its end.
func completeRunes(p []byte) int {
	for back := 1; back <= min(utf8.UTFMax-1, len(p)); back++ {
		tail := p[len(p)-back:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return len(p)
			}
			return len(p) - back
		}
	}
	return len(p)
}

// writeEvent appends an event, and a signature if one is due. It returns an error only if Required is
// set; otherwise it reports the error to OnFailure.
func (rec *Recording) writeEvent(kind, text string) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.closed || rec.err != nil {
		return rec.requiredError()
	}
	if rec.err = rec.addEvent(kind, text); rec.err != nil {
		rec.recorder.OnFailure(rec.id, rec.err)
	}
	return rec.requiredError()
}

func (rec *Recording) requiredError() error {
	if rec.recorder.Required {
		return rec.err
	}
	return nil
}

func (rec *Recording) addEvent(kind, text string) error {
	at := rec.recorder.Now().Sub(rec.started)
	if err := rec.writeEventLine(at, kind, text); err != nil {
		return err
	}
	if limit := rec.recorder.MaxBytes; limit > 0 && rec.size > limit {
		return errors.Join(rec.sign(at, false), ErrTooLarge)
	}
	if rec.chain.Due(at) {
		return rec.sign(at, false)
	}
	return nil
}

func (rec *Recording) writeEventLine(at time.Duration, kind, text string) error {
	line, err := json.Marshal([]any{json.Number(fmt.Sprintf("%.6f", at.Seconds())), kind, text})
	if err != nil {
		return fmt.Errorf("writing a recording: %w", err)
	}
	return rec.writeLine(line)
}

func (rec *Recording) sign(at time.Duration, last bool) error {
	token, err := rec.chain.Sign(at, last)
	if err != nil {
		return err
	}
	return rec.writeEventLine(at, recording.Signature, token)
}

func (rec *Recording) writeLine(line []byte) error {
	n, err := rec.out.Write(append(line, '\n'))
	rec.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing a recording: %w", err)
	}
	rec.chain.Add(line)
	return nil
}

// Close ends the recording with a marker and the final signature, which shows that nothing is missing.
func (rec *Recording) Close(reason string) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.closed {
		return nil
	}
	rec.closed = true
	at := rec.recorder.Now().Sub(rec.started)
	if rec.err == nil {
		rec.err = errors.Join(rec.flushPartialRunes(at), rec.writeEventLine(at, recording.Marker, reason), rec.sign(at, true))
		if rec.err != nil {
			rec.recorder.OnFailure(rec.id, rec.err)
		}
	}
	if err := errors.Join(rec.out.Close(), os.Rename(rec.file+OpenSuffix, rec.file)); err != nil {
		return fmt.Errorf("closing a recording: %w", err)
	}
	return nil
}

// flushPartialRunes records the bytes of incomplete characters.
func (rec *Recording) flushPartialRunes(at time.Duration) error {
	for kind, p := range rec.partialRunes {
		if len(p) == 0 {
			continue
		}
		if err := rec.writeEventLine(at, kind, string(p)); err != nil {
			return err
		}
	}
	return nil
}

// Discard removes a recording whose session did not start.
func (rec *Recording) Discard() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.closed = true
	if err := errors.Join(rec.out.Close(), os.Remove(rec.file+OpenSuffix)); err != nil {
		return fmt.Errorf("discarding a recording: %w", err)
	}
	return nil
}

// RemoveExpired removes recordings that are older than maxAge, including unfinished ones.
func (r *Recorder) RemoveExpired(maxAge time.Duration) error {
	entries, err := os.ReadDir(r.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing expired recordings: %w", err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || filepath.Ext(strings.TrimSuffix(e.Name(), OpenSuffix)) != FileSuffix || r.Now().Sub(info.ModTime()) < maxAge {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(r.Dir, e.Name())))
	}
	return errors.Join(errs...)
}
