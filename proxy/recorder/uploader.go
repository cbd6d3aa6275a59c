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
type Courier struct {
	Dir    string
	Send   func(ctx context.Context, part proxyfeed.RecordingPart) error
	Logger *slog.Logger
}

const (
	// lookEvery is how soon a recording that is over is handed in, at the latest, and
	// retryEvery how soon again what was not taken.
	lookEvery  = 2 * time.Second
	retryEvery = 30 * time.Second
	// farewell is how long what is left may take when the proxy ends.
	farewell = 10 * time.Second
)

// Run hands in until ctx ends, and then what is left.
func (c *Courier) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait := lookEvery
		if err := c.Deliver(ctx); err != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "recordings not handed in yet", "error", err)
			wait = retryEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := c.Deliver(ctx); err != nil {
		c.Logger.WarnContext(ctx, "recordings not handed in, they stay here", "dir", c.Dir, "error", err)
	}
	return nil
}

// Release ends what a proxy that was killed has left open, so that it is handed in as well:
// as what it is, without its end. It has to be called before anything is recorded.
func (c *Courier) Release(ctx context.Context) {
	left, err := filepath.Glob(filepath.Join(c.Dir, "*"+Suffix+Open))
	for _, file := range left {
		err = errors.Join(err, os.Rename(file, strings.TrimSuffix(file, Open)))
	}
	if err != nil {
		c.Logger.WarnContext(ctx, "recordings of before are left as they are", "error", err)
	}
}

// Deliver hands in what is over, the oldest first. What the server does not take stays.
func (c *Courier) Deliver(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"+Suffix))
	if err != nil {
		return fmt.Errorf("finding recordings: %w", err)
	}
	var faults []error
	for _, file := range files { // by time, as their names are
		err := c.deliver(ctx, file)
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	return errors.Join(faults...)
}

func (c *Courier) deliver(ctx context.Context, file string) (err error) {
	in, err := os.Open(file) //nolint:gosec // it is in the directory of the recordings
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	parts := &parcel{ctx: ctx, send: c.Send, id: identity(file)}
	packed := gzip.NewWriter(parts)
	if _, err := io.Copy(packed, in); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return parts.last()
}

// identity is the id of the recording in a file: what follows the time in its name.
func identity(file string) string {
	_, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), Suffix), "-")
	return id
}

// parcel cuts what is written into parts, and sends each that is full.
type parcel struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one delivery
	send   func(ctx context.Context, part proxyfeed.RecordingPart) error
	id     string
	number int
	rest   bytes.Buffer
}

// Write implements io.Writer.
func (p *parcel) Write(data []byte) (int, error) {
	p.rest.Write(data)
	for p.rest.Len() > proxyfeed.MaxRecordingPart { // one byte at least is left for the last
		if err := p.part(p.rest.Next(proxyfeed.MaxRecordingPart), false); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

func (p *parcel) last() error { return p.part(p.rest.Bytes(), true) }

func (p *parcel) part(data []byte, last bool) error {
	err := p.send(p.ctx, proxyfeed.RecordingPart{ID: p.id, Number: p.number, Data: data, Last: last})
	p.number++
	return err
}
