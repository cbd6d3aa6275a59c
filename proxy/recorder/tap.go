package recorder

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Session reads what passes between a client and a container, and records what is shown.
type Tap struct {
	recording      *Recording
	client, server decoder

	mu          sync.Mutex
	partialJSON map[channel][]byte // JSON that has not come to its end
}

// decoder takes the bytes of one direction, in pieces of any length.
type decoder interface {
	decode(p []byte) error
}

// channel is what bytes belong to (k8s.io/client-go/tools/remotecommand and
// k8s.io/apimachinery/pkg/util/remotecommand).
type channel byte

const (
	stdin channel = iota
	stdout
	stderr
	errorStatus
	resize
	none channel = 255 // the end of another channel, or nobody's
)

// channels take what a decoder has found.
type channelHandler func(c channel, p []byte) error

// Tap returns what has to see the bytes of an upgraded connection. Protocol is what was
// switched to, subprotocol what is spoken in it.
func (rec *Recording) NewTap(protocol, subprotocol string) (*Tap, error) {
	s := &Tap{recording: rec, partialJSON: map[channel][]byte{}}
	switch {
	case strings.EqualFold(protocol, "SPDY/3.1"):
		streams := newSPDYStreams(s.handle)
		s.client, s.server = streams.decoder(), streams.decoder()
	case strings.HasSuffix(subprotocol, "channel.k8s.io"):
		text := strings.HasPrefix(subprotocol, "base64.")
		s.client, s.server = &webSocketDecoder{handle: s.handle, base64: text}, &webSocketDecoder{handle: s.handle, base64: text}
	default:
		return nil, fmt.Errorf("recording: can't read what is spoken (%s, %q)", protocol, subprotocol)
	}
	return s, nil
}

// Up sees what the client sends, before it is sent on. An error ends the connection.
func (s *Tap) FromClient(p []byte) error { return s.decode(s.client, p) }

// Down sees what the client gets.
func (s *Tap) FromServer(p []byte) error { return s.decode(s.server, p) }

func (s *Tap) decode(d decoder, p []byte) error {
	err := d.decode(p)
	if err == nil {
		return nil
	}
	return s.recording.fail(err)
}

// broken ends a recording that can't go on.
func (rec *Recording) fail(err error) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.err == nil && !rec.closed {
		rec.err = err
		rec.recorder.OnFailure(rec.id, err)
	}
	return rec.requiredError()
}

// maxWords bounds what is kept of JSON that does not come to its end, in bytes.
const maxJSONBytes = 64 << 10

// take records what belongs there. Each of these channels has one direction, which is read
// by one goroutine.
func (s *Tap) handle(c channel, p []byte) error {
	switch c {
	case stdin:
		return s.recording.Input(p)
	case stdout, stderr:
		return s.recording.Output(p)
	case resize, errorStatus:
		return s.handleJSON(c, p)
	case none:
	}
	return nil
}

func (s *Tap) handleJSON(c channel, p []byte) error {
	s.mu.Lock()
	text := append(s.partialJSON[c], p...)
	whole := json.Valid(text)
	s.partialJSON[c] = text
	if whole || len(text) > maxJSONBytes {
		s.partialJSON[c] = nil
	}
	s.mu.Unlock()
	if !whole {
		return nil
	}
	if c == errorStatus {
		return s.recording.Mark("the container's word: " + strings.TrimSpace(string(text)))
	}
	var terminal struct{ Width, Height uint16 }
	if err := json.Unmarshal(text, &terminal); err == nil && terminal.Width > 0 {
		return s.recording.Resize(terminal.Width, terminal.Height)
	}
	return nil // a size that nobody can read changes nothing
}
