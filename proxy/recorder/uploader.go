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

// Uploader uploads finished recordings to the Fairlead server and then removes them from the disk.
type Uploader struct {
	Dir    string
	Upload func(ctx context.Context, part proxyfeed.RecordingPart) error
	Logger *slog.Logger
}

const (
	// uploadInterval is the time between two uploads, retryInterval the time to wait after an error.
	uploadInterval = 2 * time.Second
	retryInterval  = 30 * time.Second
	// flushTimeout bounds the upload of the remaining recordings when the proxy stops.
	flushTimeout = 10 * time.Second
)

// Run uploads recordings until ctx ends, and then the remaining ones.
func (c *Uploader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait := uploadInterval
		if err := c.UploadFinished(ctx); err != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "recordings not uploaded yet, trying again", "error", err)
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
		c.Logger.WarnContext(ctx, "recordings not uploaded, keeping them in the directory", "dir", c.Dir, "error", err)
	}
	return nil
}

// RecoverUnfinished marks recordings of a killed proxy as finished, so that they are uploaded without
// their end. The caller must call it before it starts a recording.
func (c *Uploader) RecoverUnfinished(ctx context.Context) {
	left, err := filepath.Glob(filepath.Join(c.Dir, "*"+FileSuffix+OpenSuffix))
	for _, file := range left {
		err = errors.Join(err, os.Rename(file, strings.TrimSuffix(file, OpenSuffix)))
	}
	if err != nil {
		c.Logger.WarnContext(ctx, "recovering unfinished recordings", "error", err)
	}
}

// UploadFinished uploads the finished recordings, the oldest first. A recording stays if its upload fails.
func (c *Uploader) UploadFinished(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"+FileSuffix))
	if err != nil {
		return fmt.Errorf("finding recordings: %w", err)
	}
	var errs []error
	for _, file := range files { // sorted by start time, which is in the name
		err := c.uploadFile(ctx, file)
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	return errors.Join(errs...)
}

func (c *Uploader) uploadFile(ctx context.Context, file string) (err error) {
	in, err := os.Open(file) //nolint:gosec // it is in the directory of the recordings
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	parts := &partWriter{ctx: ctx, send: c.Upload, id: recordingID(file)}
	compressed := gzip.NewWriter(parts)
	if _, err := io.Copy(compressed, in); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return parts.finish()
}

// recordingID returns the ID of the recording in a file. It follows the start time in the name.
func recordingID(file string) string {
	_, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), FileSuffix), "-")
	return id
}

// partWriter splits what is written into parts, and sends each full part.
type partWriter struct {
	ctx    context.Context //nolint:containedctx // a partWriter lives as long as one upload
	send   func(ctx context.Context, part proxyfeed.RecordingPart) error
	id     string
	number int
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (p *partWriter) Write(data []byte) (int, error) {
	p.buffer.Write(data)
	for p.buffer.Len() > proxyfeed.MaxRecordingPart { // keeps at least one byte for the last part
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
