package kubeaudit

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Rotation says when a log file is rotated and how many rotated files are kept. Zero means no limit.
type Rotation struct {
	MaxMegabytes, MaxFiles, MaxDays int
	Compress                        bool
}

// File is a sink that writes one line of JSON per event. If a write fails, for example because the disk
// is full, it keeps up to maxPendingEvents events in memory and writes them later.
type File struct {
	mu          sync.Mutex
	out         io.WriteCloser
	pending     [][]byte
	partialLine bool // the last write stopped within a line
	onDrop      func(events int, cause error)
}

var _ Sink = (*File)(nil)

// maxPendingEvents is the number of events to keep in memory after a failed write.
const maxPendingEvents = 10_000

// NewFile returns a File for path. It calls onDrop with the number of events that are lost.
func NewFile(path string, r Rotation, onDrop func(events int, cause error)) *File {
	return &File{onDrop: onDrop, out: &lumberjack.Logger{
		Filename: path, MaxSize: r.MaxMegabytes, MaxBackups: r.MaxFiles, MaxAge: r.MaxDays, Compress: r.Compress,
	}}
}

// Ready writes the pending events. It fails if it cannot.
func (f *File) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush()
}

// WriteEvent writes e. On an error, e stays pending.
func (f *File) WriteEvent(e *auditv1.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an audit event: %w", err)
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

// flush writes the pending events, the oldest first.
func (f *File) flush() error {
	for len(f.pending) > 0 {
		line := f.pending[0]
		if f.partialLine { // ends the incomplete line, so that it does not spoil the next one
			line = append([]byte{'\n'}, line...)
		}
		n, err := f.out.Write(line)
		if err != nil {
			f.partialLine = f.partialLine || n > 0
			_ = f.out.Close() // the next write opens the path again, which may lead to another file by then
			return fmt.Errorf("writing the audit log: %w", err)
		}
		f.partialLine, f.pending = false, f.pending[1:]
	}
	f.pending = nil
	return nil
}

// Close closes the file. Events that are still pending are lost.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.flush(); err != nil {
		f.onDrop(len(f.pending), err)
		return err
	}
	return f.out.Close()
}
