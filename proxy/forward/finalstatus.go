package forward

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-auth/fairlead/proxy/status"
)

// ending is why a context was ended on purpose; nil when it was not.
func terminationReason(ctx context.Context) *status.Error {
	why, ok := errors.AsType[*status.Error](context.Cause(ctx))
	if !ok {
		return nil
	}
	return why
}

// tail remembers the last byte that was written.
type lastByteWriter struct {
	io.Writer
	last byte
}

// Write implements io.Writer.
func (t *lastByteWriter) Write(p []byte) (int, error) {
	n, err := t.Writer.Write(p)
	if n > 0 {
		t.last = p[n-1]
	}
	return n, err
}

// watchEvent is an event of a watch (k8s.io/apimachinery/pkg/apis/meta/v1.WatchEvent).
type watchEvent struct {
	Type   string         `json:"type"`
	Object *metav1.Status `json:"object"`
}

// farewell says why a stream ends, where that can be said without breaking what is on
// its way: as an event of a watch, or as a line of a log. Other streams just end.
func writeFinalStatus(w *lastByteWriter, contentType string, why *status.Error) {
	kind, _, _ := strings.Cut(contentType, ";")
	whole := w.last == 0 || w.last == '\n'
	switch {
	case kind == "application/json" && whole:
		line, err := json.Marshal(watchEvent{"ERROR", why.KubernetesStatus()})
		if err == nil {
			_, _ = w.Write(append(line, '\n')) // the client may be gone
		}
	case kind == "text/plain":
		line := why.Message() + "\n"
		if !whole {
			line = "\n" + line
		}
		_, _ = io.WriteString(w, line)
	}
}

// down is the way to a client that speaks SPDY or WebSocket. Of WebSocket it follows
// where frames begin, to be able to close it with words (RFC 6455 section 5.2).
type clientConn struct {
	net.Conn
	websocket bool

	mu     sync.Mutex
	closed bool
	// head is the beginning of a frame as far as it has come, left what is still to come
	// of its payload.
	head []byte
	left uint64
}

// Write implements net.Conn.
func (d *clientConn) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, net.ErrClosed
	}
	if d.websocket {
		d.trackFrames(p)
	}
	return d.Conn.Write(p)
}

// follow moves over the frames in p. A server's frames are not masked.
func (d *clientConn) trackFrames(p []byte) {
	for len(p) > 0 {
		if d.left > 0 {
			n := min(d.left, uint64(len(p)))
			d.left -= n
			p = p[n:]
			continue
		}
		d.head = append(d.head, p[0])
		p = p[1:]
		if left, whole := payloadLength(d.head); whole {
			d.left, d.head = left, d.head[:0]
		}
	}
}

// payload reads the length of a frame's payload, once all of its head is there.
func payloadLength(head []byte) (length uint64, whole bool) {
	const long, veryLong = 126, 127
	if len(head) < 2 {
		return 0, false
	}
	switch short := head[1] & 0x7f; {
	case short < long:
		return uint64(short), true
	case short == long && len(head) == 4:
		return uint64(binary.BigEndian.Uint16(head[2:])), true
	case short == veryLong && len(head) == 10:
		return binary.BigEndian.Uint64(head[2:]), true
	}
	return 0, false
}

const (
	closeFrame = 0x88
	// policyViolation is the status code for "you may not" (RFC 6455 section 7.4.1).
	policyViolation = 1008
	// maxReason is how long the words may be, in bytes.
	maxCloseReason    = 123
	closeFrameTimeout = time.Second
)

// farewell ends the way to the client; with words, when they fit between two frames.
func (d *clientConn) closeWithReason(why *status.Error) {
	_ = d.SetWriteDeadline(time.Now().Add(closeFrameTimeout)) //nolint:forbidigo // a bound on real time
	d.mu.Lock()
	defer d.mu.Unlock()
	if why != nil && d.websocket && !d.closed && d.left == 0 && len(d.head) == 0 {
		words := why.Message()
		for len(words) > maxCloseReason {
			words = words[:strings.LastIndexByte(words[:maxCloseReason+1], ' ')]
		}
		frame := binary.BigEndian.AppendUint16([]byte{closeFrame, byte(len(words) + 2)}, policyViolation) //nolint:gosec // at most 125
		_, _ = d.Conn.Write(append(frame, words...))
	}
	d.closed = true
}
