package recorder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/moby/spdystream/spdy"
)

// streams knows which stream of a SPDY connection is which channel: both directions use
// what the client said when it opened them.
type streams struct {
	take channels
	mu   sync.Mutex
	of   map[uint32]channel
}

func newStreams(take channels) *streams { return &streams{take: take, of: map[uint32]channel{}} }

// decoder reads one direction.
func (s *streams) decoder() *direction {
	d := &direction{streams: s}
	framer, err := spdy.NewFramer(io.Discard, &d.frame)
	if err != nil {
		d.fault = fmt.Errorf("recording: %w", err)
	}
	d.framer = framer
	return d
}

// direction reads frames of SPDY/3.1. Control frames are read whole, because the library
// does; data passes in pieces.
type direction struct {
	streams *streams
	framer  *spdy.Framer
	frame   bytes.Buffer // a control frame, as far as it has come
	head    []byte       // of any frame
	control bool
	stream  uint32
	left    int
	fault   error
}

const (
	spdyHead = 8
	// maxControl bounds a control frame, in bytes.
	maxControl = 64 << 10
)

func (d *direction) decode(p []byte) error {
	for len(p) > 0 && d.fault == nil {
		if d.left == 0 && len(d.head) < spdyHead {
			d.head = append(d.head, p[0])
			if p = p[1:]; len(d.head) == spdyHead {
				d.fault = d.begin()
			}
			continue
		}
		n := min(d.left, len(p))
		d.fault = d.payload(p[:n])
		p = p[n:]
	}
	return d.fault
}

// begin reads the head of a frame.
func (d *direction) begin() error {
	first := binary.BigEndian.Uint32(d.head)
	d.control, d.stream = first&(1<<31) != 0, first&^(1<<31)
	d.left = int(binary.BigEndian.Uint32(d.head[4:]) & 0xffffff)
	if d.control && d.left > maxControl {
		return fmt.Errorf("recording: a frame of %d bytes", d.left)
	}
	if d.control {
		d.frame.Write(d.head)
	}
	return d.end()
}

func (d *direction) payload(p []byte) error {
	d.left -= len(p)
	if d.control {
		d.frame.Write(p)
	} else if err := d.streams.data(d.stream, p); err != nil {
		return err
	}
	return d.end()
}

// end ends a frame when all of it is there.
func (d *direction) end() error {
	if d.left > 0 {
		return nil
	}
	d.head = d.head[:0]
	if !d.control {
		return nil
	}
	frame, err := d.framer.ReadFrame()
	d.frame.Reset()
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if opened, ok := frame.(*spdy.SynStreamFrame); ok {
		d.streams.open(uint32(opened.StreamId), opened.Headers.Get("streamType"))
	}
	return nil
}

// open notes what a stream is for. Its first opening counts, as for who reads it at the
// other end: a second one must not turn what is shown into something else.
func (s *streams) open(id uint32, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.of[id]; known {
		return
	}
	for c, name := range []string{"stdin", "stdout", "stderr", "error", "resize"} {
		if strings.EqualFold(kind, name) {
			s.of[id] = channel(c)
		}
	}
}

func (s *streams) data(id uint32, p []byte) error {
	s.mu.Lock()
	c, known := s.of[id]
	s.mu.Unlock()
	if !known {
		return nil
	}
	return s.take(c, p)
}
