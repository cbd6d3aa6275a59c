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
	Stdin bool
	// Strict ends a session that can't be recorded.
	Strict bool
	// MaxBytes bounds one recording; zero is no limit.
	MaxBytes int64
	Now      func() time.Time
	// Failed is told of recordings that are not complete.
	Failed func(id string, err error)
}

// A terminal has this size until it is told another one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// Suffix is that of a recording's file; one that is still going on has Open as well.
const (
	Suffix = ".cast"
	Open   = ".open"
)

// ErrFull says that a recording has grown too large.
var ErrFull = errors.New("the recording is larger than it may be")

// Recording is one session that is being recorded. It is safe for use by several goroutines.
type Recording struct {
	r     *Recorder
	id    string
	file  string
	began time.Time

	mu    sync.Mutex
	out   io.WriteCloser
	size  int64
	chain *recording.Chain
	part  map[string][]byte // of a character that has not come to its end, by event
	fault error
	over  bool
}

// Begin starts a recording.
func (r *Recorder) Begin(about recording.About, title, command string) (*Recording, error) {
	now := r.Now()
	id := uuid.NewString()
	rec := &Recording{r: r, id: id, began: now, chain: recording.NewChain(r.Key, r.KeyID, id), part: map[string][]byte{}}
	rec.file = filepath.Join(r.Dir, now.UTC().Format("20060102T150405.000Z-")+id+Suffix)
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	out, err := os.OpenFile(rec.file+Open, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	rec.out = out
	line, err := json.Marshal(recording.Header{
		Version: 2, Width: defaultWidth, Height: defaultHeight, Timestamp: now.Unix(), Title: title, Command: command,
		Fairlead: recording.Origin{About: about, ID: id, KeyID: r.KeyID, Stdin: r.Stdin},
	})
	if err != nil {
		return nil, fmt.Errorf("starting recording: %w", err)
	}
	if err := rec.line(line); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return rec, nil
}

// ID names the recording.
func (rec *Recording) ID() string { return rec.id }

// Output keeps what is shown.
func (rec *Recording) Output(p []byte) error { return rec.text(recording.Output, p) }

// Input keeps what is typed, if that is wanted.
func (rec *Recording) Input(p []byte) error {
	if !rec.r.Stdin {
		return nil
	}
	return rec.text(recording.Input, p)
}

// Resize notes that the terminal has another size.
func (rec *Recording) Resize(width, height uint16) error {
	return rec.event(recording.Resize, fmt.Sprintf("%dx%d", width, height))
}

// Mark notes something that happened.
func (rec *Recording) Mark(text string) error { return rec.event(recording.Marker, text) }

// text keeps whole characters, and what is no character as one that says so.
func (rec *Recording) text(kind string, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	rec.mu.Lock()
	p = append(rec.part[kind], p...)
	cut := wholeCharacters(p)
	rec.part[kind] = append([]byte(nil), p[cut:]...)
	rec.mu.Unlock()
	if cut == 0 {
		return nil
	}
	return rec.event(kind, string(p[:cut]))
}

// wholeCharacters is how much of p has no beginning of a character at its end.
func wholeCharacters(p []byte) int {
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
func (rec *Recording) event(kind, text string) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.over || rec.fault != nil {
		return rec.strict()
	}
	if rec.fault = rec.add(kind, text); rec.fault != nil {
		rec.r.Failed(rec.id, rec.fault)
	}
	return rec.strict()
}

func (rec *Recording) strict() error {
	if rec.r.Strict {
		return rec.fault
	}
	return nil
}

func (rec *Recording) add(kind, text string) error {
	at := rec.r.Now().Sub(rec.began)
	if err := rec.write(at, kind, text); err != nil {
		return err
	}
	if limit := rec.r.MaxBytes; limit > 0 && rec.size > limit {
		return errors.Join(rec.sign(at, false), ErrFull)
	}
	if rec.chain.Due(at) {
		return rec.sign(at, false)
	}
	return nil
}

func (rec *Recording) write(at time.Duration, kind, text string) error {
	line, err := json.Marshal([]any{json.Number(fmt.Sprintf("%.6f", at.Seconds())), kind, text})
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return rec.line(line)
}

func (rec *Recording) sign(at time.Duration, last bool) error {
	token, err := rec.chain.Sign(at, last)
	if err != nil {
		return err
	}
	return rec.write(at, recording.Signed, token)
}

func (rec *Recording) line(line []byte) error {
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
	if rec.over {
		return nil
	}
	rec.over = true
	at := rec.r.Now().Sub(rec.began)
	if rec.fault == nil {
		rec.fault = errors.Join(rec.rest(at), rec.write(at, recording.Marker, why), rec.sign(at, true))
		if rec.fault != nil {
			rec.r.Failed(rec.id, rec.fault)
		}
	}
	if err := errors.Join(rec.out.Close(), os.Rename(rec.file+Open, rec.file)); err != nil {
		return fmt.Errorf("ending recording: %w", err)
	}
	return nil
}

// rest keeps the beginnings of characters that never came to their end.
func (rec *Recording) rest(at time.Duration) error {
	for kind, p := range rec.part {
		if len(p) == 0 {
			continue
		}
		if err := rec.write(at, kind, string(p)); err != nil {
			return err
		}
	}
	return nil
}

// Discard ends a recording of what did not happen.
func (rec *Recording) Discard() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.over = true
	if err := errors.Join(rec.out.Close(), os.Remove(rec.file+Open)); err != nil {
		return fmt.Errorf("discarding recording: %w", err)
	}
	return nil
}

// Sweep removes recordings that are older than they may be, also what a proxy that was
// killed has left open.
func (r *Recorder) Sweep(life time.Duration) error {
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
		if err != nil || filepath.Ext(strings.TrimSuffix(e.Name(), Open)) != Suffix || r.Now().Sub(info.ModTime()) < life {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(r.Dir, e.Name())))
	}
	return errors.Join(errs...)
}
