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

// spdyStreams maps the streams of a SPDY connection to channels. The client names the channel when it
// opens a stream, and both directions need that.
type spdyStreams struct {
	handle   channelHandler
	mu       sync.Mutex
	channels map[uint32]channel
}

func newSPDYStreams(handle channelHandler) *spdyStreams {
	return &spdyStreams{handle: handle, channels: map[uint32]channel{}}
}

// decoder returns a decoder for one direction.
func (s *spdyStreams) decoder() *spdyDecoder {
	d := &spdyDecoder{streams: s}
	framer, err := spdy.NewFramer(io.Discard, &d.frame)
	if err != nil {
		d.err = fmt.Errorf("creating a SPDY framer: %w", err)
	}
	d.framer = framer
	return d
}

// spdyDecoder decodes one direction of SPDY/3.1. It buffers control frames, because the library reads
// them as a whole, and passes data on in pieces.
type spdyDecoder struct {
	streams     *spdyStreams
	framer      *spdy.Framer
	frame       bytes.Buffer // the bytes of an incomplete control frame
	header      []byte       // the bytes of an incomplete frame header
	control     bool
	stream      uint32
	payloadLeft int
	err         error
}

const (
	spdyHeaderSize = 8
	// maxControlFrame bounds a control frame, in bytes.
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

// beginFrame parses the header of a frame.
func (d *spdyDecoder) beginFrame() error {
	first := binary.BigEndian.Uint32(d.header)
	d.control, d.stream = first&(1<<31) != 0, first&^(1<<31)
	d.payloadLeft = int(binary.BigEndian.Uint32(d.header[4:]) & 0xffffff)
	if d.control && d.payloadLeft > maxControlFrame {
		return fmt.Errorf("decoding SPDY: a control frame has %d bytes", d.payloadLeft)
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

// endFrame ends a frame when its whole payload is there.
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
		return fmt.Errorf("decoding SPDY: %w", err)
	}
	if opened, ok := frame.(*spdy.SynStreamFrame); ok {
		d.streams.open(uint32(opened.StreamId), opened.Headers.Get("streamType"))
	}
	return nil
}

// open assigns a channel to a stream. Like the container runtime, it ignores a second SYN_STREAM of the
// same stream, with which a client could hide output.
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
