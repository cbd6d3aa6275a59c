package recorder

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
)

// Courier hands recordings that are over in to the server, and removes those that it has.
type Uploader struct {
	Dir    string
	Upload func(ctx context.Context, part proxyfeed.RecordingPart) error
	Logger *slog.Logger
}

const (
	// lookEvery is how soon a recording that is over is handed in, at the latest, and
	// retryEvery how soon again what was not taken.
	uploadInterval = 2 * time.Second
	retryInterval  = 30 * time.Second
	// farewell is how long what is left may take when the proxy ends.
	flushTimeout = 10 * time.Second
)

// Run hands in until ctx ends, and then what is left.
func (c *Uploader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait := uploadInterval
		if err := c.UploadFinished(ctx); err != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "recordings not handed in yet", "error", err)
			wait = retryInterval
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := c.UploadFinished(ctx); err != nil {
		c.Logger.WarnContext(ctx, "recordings not handed in, they stay here", "dir", c.Dir, "error", err)
	}
	return nil
}

// Release ends what a proxy that was killed has left open, so that it is handed in as well:
// as what it is, without its end. It has to be called before anything is recorded.
func (c *Uploader) RecoverUnfinished(ctx context.Context) {
	left, err := filepath.Glob(filepath.Join(c.Dir, "*"+FileSuffix+OpenSuffix))
	for _, file := range left {
		err = errors.Join(err, os.Rename(file, strings.TrimSuffix(file, OpenSuffix)))
	}
	if err != nil {
		c.Logger.WarnContext(ctx, "recordings of before are left as they are", "error", err)
	}
}

// Deliver hands in what is over, the oldest first. What the server does not take stays.
func (c *Uploader) UploadFinished(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"+FileSuffix))
	if err != nil {
		return fmt.Errorf("finding recordings: %w", err)
	}
	var faults []error
	for _, file := range files { // by time, as their names are
		err := c.uploadFile(ctx, file)
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	return errors.Join(faults...)
}

func (c *Uploader) uploadFile(ctx context.Context, file string) (err error) {
	in, err := os.Open(file) //nolint:gosec // it is in the directory of the recordings
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	parts := &partWriter{ctx: ctx, send: c.Upload, id: recordingID(file)}
	packed := gzip.NewWriter(parts)
	if _, err := io.Copy(packed, in); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return parts.finish()
}

// identity is the id of the recording in a file: what follows the time in its name.
func recordingID(file string) string {
	_, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), FileSuffix), "-")
	return id
}

// parcel cuts what is written into parts, and sends each that is full.
type partWriter struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one delivery
	send   func(ctx context.Context, part proxyfeed.RecordingPart) error
	id     string
	number int
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (p *partWriter) Write(data []byte) (int, error) {
	p.buffer.Write(data)
	for p.buffer.Len() > proxyfeed.MaxRecordingPart { // one byte at least is left for the last
		if err := p.sendPart(p.buffer.Next(proxyfeed.MaxRecordingPart), false); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

func (p *partWriter) finish() error { return p.sendPart(p.buffer.Bytes(), true) }

func (p *partWriter) sendPart(data []byte, last bool) error {
	err := p.send(p.ctx, proxyfeed.RecordingPart{ID: p.id, Number: p.number, Data: data, Last: last})
	p.number++
	return err
}
