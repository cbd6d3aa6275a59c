package kubeaudit

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Rotation is when a file is put aside, and how many of those are kept. Zero is no limit.
type Rotation struct {
	MaxMegabytes, MaxFiles, MaxDays int
	Compress                        bool
}

// File is a sink that writes a line of JSON for each event. What can't be written, because
// the disk is full, is kept in memory up to a limit and written when there is room again.
type File struct {
	mu          sync.Mutex
	out         io.WriteCloser
	pending     [][]byte
	partialLine bool // the last line was written in part
	onDrop      func(events int, why error)
}

var _ Sink = (*File)(nil)

// maxWaiting is how many events wait for room.
const maxPendingEvents = 10_000

// NewFile returns a file. Lost is told of events that are gone for good.
func NewFile(path string, r Rotation, lost func(events int, why error)) *File {
	return &File{onDrop: lost, out: &lumberjack.Logger{
		Filename: path, MaxSize: r.MaxMegabytes, MaxBackups: r.MaxFiles, MaxAge: r.MaxDays, Compress: r.Compress,
	}}
}

// Ready writes what waits, and fails when it can't.
func (f *File) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush()
}

// Keep writes e. It fails when it could not; e waits then.
func (f *File) WriteEvent(e *auditv1.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding audit event: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) >= maxPendingEvents {
		if err := f.flush(); err != nil {
			f.onDrop(1, nil)
			return err
		}
	}
	f.pending = append(f.pending, append(line, '\n'))
	return f.flush()
}

// flush writes what waits, the oldest first.
func (f *File) flush() error {
	for len(f.pending) > 0 {
		line := f.pending[0]
		if f.partialLine { // or two lines would be one
			line = append([]byte{'\n'}, line...)
		}
		n, err := f.out.Write(line)
		if err != nil {
			f.partialLine = f.partialLine || n > 0
			_ = f.out.Close() // it is opened again: the file may be another one by then
			return fmt.Errorf("writing audit log: %w", err)
		}
		f.partialLine, f.pending = false, f.pending[1:]
	}
	f.pending = nil
	return nil
}

// Close ends writing. What still waits is lost.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.flush(); err != nil {
		f.onDrop(len(f.pending), err)
		return err
	}
	return f.out.Close()
}
