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
type spdyStreams struct {
	handle   channelHandler
	mu       sync.Mutex
	channels map[uint32]channel
}

func newSPDYStreams(take channelHandler) *spdyStreams {
	return &spdyStreams{handle: take, channels: map[uint32]channel{}}
}

// decoder reads one direction.
func (s *spdyStreams) decoder() *spdyDecoder {
	d := &spdyDecoder{streams: s}
	framer, err := spdy.NewFramer(io.Discard, &d.frame)
	if err != nil {
		d.err = fmt.Errorf("recording: %w", err)
	}
	d.framer = framer
	return d
}

// direction reads frames of SPDY/3.1. Control frames are read whole, because the library
// does; data passes in pieces.
type spdyDecoder struct {
	streams     *spdyStreams
	framer      *spdy.Framer
	frame       bytes.Buffer // a control frame, as far as it has come
	header      []byte       // of any frame
	control     bool
	stream      uint32
	payloadLeft int
	err         error
}

const (
	spdyHeaderSize = 8
	// maxControl bounds a control frame, in bytes.
	maxControlFrame = 64 << 10
)

func (d *spdyDecoder) decode(p []byte) error {
	for len(p) > 0 && d.err == nil {
		if d.payloadLeft == 0 && len(d.header) < spdyHeaderSize {
			d.header = append(d.header, p[0])
			if p = p[1:]; len(d.header) == spdyHeaderSize {
				d.err = d.beginFrame()
			}
			continue
		}
		n := min(d.payloadLeft, len(p))
		d.err = d.payload(p[:n])
		p = p[n:]
	}
	return d.err
}

// begin reads the head of a frame.
func (d *spdyDecoder) beginFrame() error {
	first := binary.BigEndian.Uint32(d.header)
	d.control, d.stream = first&(1<<31) != 0, first&^(1<<31)
	d.payloadLeft = int(binary.BigEndian.Uint32(d.header[4:]) & 0xffffff)
	if d.control && d.payloadLeft > maxControlFrame {
		return fmt.Errorf("recording: a frame of %d bytes", d.payloadLeft)
	}
	if d.control {
		d.frame.Write(d.header)
	}
	return d.endFrame()
}

func (d *spdyDecoder) payload(p []byte) error {
	d.payloadLeft -= len(p)
	if d.control {
		d.frame.Write(p)
	} else if err := d.streams.data(d.stream, p); err != nil {
		return err
	}
	return d.endFrame()
}

// end ends a frame when all of it is there.
func (d *spdyDecoder) endFrame() error {
	if d.payloadLeft > 0 {
		return nil
	}
	d.header = d.header[:0]
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
func (s *spdyStreams) open(id uint32, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.channels[id]; known {
		return
	}
	for c, name := range []string{"stdin", "stdout", "stderr", "error", "resize"} {
		if strings.EqualFold(kind, name) {
			s.channels[id] = channel(c)
		}
	}
}

func (s *spdyStreams) data(id uint32, p []byte) error {
	s.mu.Lock()
	c, known := s.channels[id]
	s.mu.Unlock()
	if !known {
		return nil
	}
	return s.handle(c, p)
}
