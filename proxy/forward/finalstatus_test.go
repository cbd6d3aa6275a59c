package forward

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
)

// writeRecorder is a connection that records what is written to it.
type writeRecorder struct {
	net.Conn
	all bytes.Buffer
}

// Write implements net.Conn.
func (r *writeRecorder) Write(p []byte) (int, error) { return r.all.Write(p) }

// frame returns an unmasked WebSocket frame.
func frame(payload []byte) []byte {
	head := []byte{0x82}
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	return append(head, payload...)
}

// FuzzTrackFrames cuts two frames at any byte. Only between them may a close frame be sent.
func FuzzTrackFrames(f *testing.F) {
	f.Add([]byte("hi"), []byte(""), 3, 2)
	f.Add(bytes.Repeat([]byte("x"), 300), []byte("y"), 5, 7)
	f.Add(bytes.Repeat([]byte("x"), 70_000), []byte("y"), 11, 900)
	f.Fuzz(func(t *testing.T, first, second []byte, until, chunk int) {
		one, two := frame(first), frame(second)
		all := append(append([]byte{}, one...), two...)
		if until < 0 || chunk < 1 {
			return
		}
		until = min(until, len(all))
		var conn writeRecorder
		d := &clientConn{Conn: &conn, websocket: true}
		for rest := all[:until]; len(rest) > 0; {
			n := min(chunk, len(rest))
			if _, err := d.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		between := until == 0 || until == len(one) || until == len(all)
		if got := d.left == 0 && len(d.head) == 0; got != between {
			t.Errorf("after %d of %d+%d bytes in pieces of %d: a close frame may be sent: %v", until, len(one), len(two), chunk, got)
		}
		if !bytes.Equal(conn.all.Bytes(), all[:until]) {
			t.Error("the data was changed")
		}
	})
}
