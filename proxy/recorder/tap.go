package recorder

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Tap decodes the data between a client and a container, and records the terminal's output.
type Tap struct {
	recording      *Recording
	client, server decoder

	mu          sync.Mutex
	partialJSON map[channel][]byte // incomplete JSON messages
}

// decoder decodes the bytes of one direction, which come in pieces of any length.
type decoder interface {
	decode(p []byte) error
}

// channel is the remote-command channel of some bytes (k8s.io/client-go/tools/remotecommand and
// k8s.io/apimachinery/pkg/util/remotecommand).
type channel byte

const (
	stdin channel = iota
	stdout
	stderr
	errorStatus
	resize
	none channel = 255 // closes another channel
)

// channelHandler receives decoded bytes of a channel.
type channelHandler func(c channel, p []byte) error

// NewTap returns the tap for an upgraded connection. Protocol is the protocol of the upgrade,
// subprotocol the one that was negotiated for a WebSocket.
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
		return nil, fmt.Errorf("recording does not support the protocol %s with the subprotocol %q", protocol, subprotocol)
	}
	return s, nil
}

// FromClient decodes data of the client before it is forwarded. An error ends the connection.
func (s *Tap) FromClient(p []byte) error { return s.decode(s.client, p) }

// FromServer decodes data for the client before it is forwarded. An error ends the connection.
func (s *Tap) FromServer(p []byte) error { return s.decode(s.server, p) }

func (s *Tap) decode(d decoder, p []byte) error {
	err := d.decode(p)
	if err == nil {
		return nil
	}
	return s.recording.fail(err)
}

// fail ends a recording that cannot continue. It returns the error if Required is set.
func (rec *Recording) fail(err error) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.err == nil && !rec.closed {
		rec.err = err
		rec.recorder.OnFailure(rec.id, err)
	}
	return rec.requiredError()
}

// maxJSONBytes bounds an incomplete JSON message.
const maxJSONBytes = 64 << 10

// handle records the bytes of a channel. Each channel has one direction, so one goroutine calls it.
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
	complete := json.Valid(text)
	s.partialJSON[c] = text
	if complete || len(text) > maxJSONBytes {
		s.partialJSON[c] = nil
	}
	s.mu.Unlock()
	if !complete {
		return nil
	}
	if c == errorStatus {
		return s.recording.Mark("container status: " + strings.TrimSpace(string(text)))
	}
	var terminal struct{ Width, Height uint16 }
	if err := json.Unmarshal(text, &terminal); err == nil && terminal.Width > 0 {
		return s.recording.Resize(terminal.Width, terminal.Height)
	}
	return nil // ignores an invalid size
}
