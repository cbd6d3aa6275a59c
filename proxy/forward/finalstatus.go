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

// terminationReason returns the refusal with which ctx was cancelled, or nil.
func terminationReason(ctx context.Context) *status.Error {
	reason, ok := errors.AsType[*status.Error](context.Cause(ctx))
	if !ok {
		return nil
	}
	return reason
}

// lastByteWriter remembers the last byte that was written.
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

// watchEvent is one event of a watch (k8s.io/apimachinery/pkg/apis/meta/v1.WatchEvent).
type watchEvent struct {
	Type   string         `json:"type"`
	Object *metav1.Status `json:"object"`
}

// writeFinalStatus ends a stream with its reason: as an ERROR event of a watch, or as a line of a log.
// It writes nothing if the reason would corrupt an event, or to a stream of another type.
func writeFinalStatus(w *lastByteWriter, contentType string, reason *status.Error) {
	mediaType, _, _ := strings.Cut(contentType, ";")
	atBoundary := w.last == 0 || w.last == '\n'
	switch {
	case mediaType == "application/json" && atBoundary:
		line, err := json.Marshal(watchEvent{"ERROR", reason.KubernetesStatus()})
		if err == nil {
			_, _ = w.Write(append(line, '\n')) // an error here means that the client has gone
		}
	case mediaType == "text/plain":
		line := reason.Message() + "\n"
		if !atBoundary {
			line = "\n" + line
		}
		_, _ = io.WriteString(w, line)
	}
}

// clientConn is the connection to a client that speaks SPDY or WebSocket. It tracks the frames of a
// WebSocket, so that it can send a close frame between two of them (RFC 6455 section 5.2).
type clientConn struct {
	net.Conn
	websocket bool

	mu     sync.Mutex
	closed bool
	// head holds the bytes of an incomplete frame header, left the number of payload bytes that
	// are still to be written.
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

// trackFrames follows the frames in p. Frames of a server are not masked.
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
		if left, complete := payloadLength(d.head); complete {
			d.left, d.head = left, d.head[:0]
		}
	}
}

// payloadLength returns the length of a frame's payload, once the whole frame header is there.
func payloadLength(head []byte) (length uint64, complete bool) {
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
	// policyViolation is the close code for a revoked session (RFC 6455 section 7.4.1).
	policyViolation = 1008
	// maxCloseReason is the longest reason in a close frame, in bytes.
	maxCloseReason    = 123
	closeFrameTimeout = time.Second
)

// closeWithReason closes the connection for writing. Between two frames it sends a close frame first.
func (d *clientConn) closeWithReason(reason *status.Error) {
	_ = d.SetWriteDeadline(time.Now().Add(closeFrameTimeout)) //nolint:forbidigo // a bound on real time
	d.mu.Lock()
	defer d.mu.Unlock()
	if reason != nil && d.websocket && !d.closed && d.left == 0 && len(d.head) == 0 {
		message := reason.Message()
		for len(message) > maxCloseReason {
			message = message[:strings.LastIndexByte(message[:maxCloseReason+1], ' ')]
		}
		frame := binary.BigEndian.AppendUint16([]byte{closeFrame, byte(len(message) + 2)}, policyViolation) //nolint:gosec // at most 125
		_, _ = d.Conn.Write(append(frame, message...))
	}
	d.closed = true
}
