// Package record keeps what was on the screen of a shell, in asciicast v2, so that nobody
// can change it unnoticed: each line is chained to those before it, and the proxy signs
// how far the chain has come. It reads what passes and changes none of it.
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

// Recorder makes recordings.
type Recorder struct {
	// Dir is where they are kept, a file each.
	Dir string
	// Key signs them, and KeyID says whose it is.
	Key   ed25519.PrivateKey
	KeyID string
	// Stdin keeps what is typed as well, with passwords that are not shown.
	RecordStdin bool
	// Strict ends a session that can't be recorded.
	Required bool
	// MaxBytes bounds one recording; zero is no limit.
	MaxBytes int64
	Now      func() time.Time
	// Failed is told of recordings that are not complete.
	OnFailure func(id string, err error)
}

// A terminal has this size until it is told another one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// Suffix is that of a recording's file; one that is still going on has Open as well.
const (
	FileSuffix = ".cast"
	OpenSuffix = ".open"
)

// ErrFull says that a recording has grown too large.
var ErrTooLarge = errors.New("the recording is larger than it may be")

// Recording is one session that is being recorded. It is safe for use by several goroutines.
type Recording struct {
	recorder *Recorder
	id       string
	file     string
	started  time.Time

	mu           sync.Mutex
	out          io.WriteCloser
	size         int64
	chain        *recording.Chain
	partialRunes map[string][]byte // of a character that has not come to its end, by event
	err          error
	closed       bool
}

// Begin starts a recording.
func (r *Recorder) Begin(about recording.SessionInfo, title, command string) (*Recording, error) {
	now := r.Now()
	id := uuid.NewString()
	rec := &Recording{recorder: r, id: id, started: now, chain: recording.NewChain(r.Key, r.KeyID, id), partialRunes: map[string][]byte{}}
	rec.file = filepath.Join(r.Dir, now.UTC().Format("20060102T150405.000Z-")+id+FileSuffix)
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	out, err := os.OpenFile(rec.file+OpenSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	rec.out = out
	line, err := json.Marshal(recording.Header{
		Version: 2, Width: defaultWidth, Height: defaultHeight, Timestamp: now.Unix(), Title: title, Command: command,
		Fairlead: recording.Metadata{SessionInfo: about, ID: id, KeyID: r.KeyID, Stdin: r.RecordStdin},
	})
	if err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	if err := rec.writeLine(line); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return rec, nil
}

// ID names the recording.
func (rec *Recording) ID() string { return rec.id }

// Output keeps what is shown.
func (rec *Recording) Output(p []byte) error { return rec.writeText(recording.Output, p) }

// Input keeps what is typed, if that is wanted.
func (rec *Recording) Input(p []byte) error {
	if !rec.recorder.RecordStdin {
		return nil
	}
	return rec.writeText(recording.Input, p)
}

// Resize notes that the terminal has another size.
func (rec *Recording) Resize(width, height uint16) error {
	return rec.writeEvent(recording.Resize, fmt.Sprintf("%dx%d", width, height))
}

// Mark notes something that happened.
func (rec *Recording) Mark(text string) error { return rec.writeEvent(recording.Marker, text) }

// text keeps whole characters, and what is no character as one that says so.
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

// wholeCharacters is how much of p has no beginning of a character at its end.
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

// event adds a line, and a signature when it is time. Strict makes a fault the caller's.
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
		return fmt.Errorf("recording: %w", err)
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
		return fmt.Errorf("recording: %w", err)
	}
	rec.chain.Add(line)
	return nil
}

// Close ends the recording. The last signature says that nothing is missing.
func (rec *Recording) Close(why string) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.closed {
		return nil
	}
	rec.closed = true
	at := rec.recorder.Now().Sub(rec.started)
	if rec.err == nil {
		rec.err = errors.Join(rec.flushPartialRunes(at), rec.writeEventLine(at, recording.Marker, why), rec.sign(at, true))
		if rec.err != nil {
			rec.recorder.OnFailure(rec.id, rec.err)
		}
	}
	if err := errors.Join(rec.out.Close(), os.Rename(rec.file+OpenSuffix, rec.file)); err != nil {
		return fmt.Errorf("ending recording: %w", err)
	}
	return nil
}

// rest keeps the beginnings of characters that never came to their end.
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

// Discard ends a recording of what did not happen.
func (rec *Recording) Discard() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.closed = true
	if err := errors.Join(rec.out.Close(), os.Remove(rec.file+OpenSuffix)); err != nil {
		return fmt.Errorf("discarding recording: %w", err)
	}
	return nil
}

// Sweep removes recordings that are older than they may be, also what a proxy that was
// killed has left open.
func (r *Recorder) RemoveExpired(life time.Duration) error {
	entries, err := os.ReadDir(r.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping recordings: %w", err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || filepath.Ext(strings.TrimSuffix(e.Name(), OpenSuffix)) != FileSuffix || r.Now().Sub(info.ModTime()) < life {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(r.Dir, e.Name())))
	}
	return errors.Join(errs...)
}
