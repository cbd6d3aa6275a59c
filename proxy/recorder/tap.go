package recorder

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Session reads what passes between a client and a container, and records what is shown.
type Session struct {
	rec      *Recording
	up, down decoder

	mu    sync.Mutex
	words map[channel][]byte // JSON that has not come to its end
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
	faults
	size
	none channel = 255 // the end of another channel, or nobody's
)

// channels take what a decoder has found.
type channels func(c channel, p []byte) error

// Tap returns what has to see the bytes of an upgraded connection. Protocol is what was
// switched to, subprotocol what is spoken in it.
func (rec *Recording) Tap(protocol, subprotocol string) (*Session, error) {
	s := &Session{rec: rec, words: map[channel][]byte{}}
	switch {
	case strings.EqualFold(protocol, "SPDY/3.1"):
		streams := newStreams(s.take)
		s.up, s.down = streams.decoder(), streams.decoder()
	case strings.HasSuffix(subprotocol, "channel.k8s.io"):
		text := strings.HasPrefix(subprotocol, "base64.")
		s.up, s.down = &frames{take: s.take, base64: text}, &frames{take: s.take, base64: text}
	default:
		return nil, fmt.Errorf("recording: can't read what is spoken (%s, %q)", protocol, subprotocol)
	}
	return s, nil
}

// Up sees what the client sends, before it is sent on. An error ends the connection.
func (s *Session) Up(p []byte) error { return s.see(s.up, p) }

// Down sees what the client gets.
func (s *Session) Down(p []byte) error { return s.see(s.down, p) }

func (s *Session) see(d decoder, p []byte) error {
	err := d.decode(p)
	if err == nil {
		return nil
	}
	return s.rec.broken(err)
}

// broken ends a recording that can't go on.
func (rec *Recording) broken(err error) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.fault == nil && !rec.over {
		rec.fault = err
		rec.r.Failed(rec.id, err)
	}
	return rec.strict()
}

// maxWords bounds what is kept of JSON that does not come to its end, in bytes.
const maxWords = 64 << 10

// take records what belongs there. Each of these channels has one direction, which is read
// by one goroutine.
func (s *Session) take(c channel, p []byte) error {
	switch c {
	case stdin:
		return s.rec.Input(p)
	case stdout, stderr:
		return s.rec.Output(p)
	case size, faults:
		return s.json(c, p)
	case none:
	}
	return nil
}

func (s *Session) json(c channel, p []byte) error {
	s.mu.Lock()
	text := append(s.words[c], p...)
	whole := json.Valid(text)
	s.words[c] = text
	if whole || len(text) > maxWords {
		s.words[c] = nil
	}
	s.mu.Unlock()
	if !whole {
		return nil
	}
	if c == faults {
		return s.rec.Mark("the container's word: " + strings.TrimSpace(string(text)))
	}
	var terminal struct{ Width, Height uint16 }
	if err := json.Unmarshal(text, &terminal); err == nil && terminal.Width > 0 {
		return s.rec.Resize(terminal.Width, terminal.Height)
	}
	return nil // a size that nobody can read changes nothing
}
