package proxy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames opens an HTTP/2 connection and returns a framer for it, and a header block that requests a path.
func (w *world) frames(t *testing.T) (framer *http2.Framer, conn net.Conn, ask func(path string) []byte) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.front.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer = http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	return framer, conn, func(path string) []byte {
		block.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", path}, {"authorization", "Bearer " + w.token}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		return bytes.Clone(block.Bytes())
	}
}

// TestRapidReset opens and resets requests as fast as it can (CVE-2023-44487). The API server must not see more
// concurrent requests than a connection may have streams, and other clients must be served.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	w := &world{}
	var now, most atomic.Int64
	w.start(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			return
		}
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		<-r.Context().Done()
	})
	framer, conn, ask := w.frames(t)
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	for id := uint32(1); id < 20_000; id += 2 {
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: ask("/slow"), EndHeaders: true, EndStream: true}) != nil || framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break // the server closed the connection
		}
	}
	if resp, _ := w.do(t, http.MethodGet, "/api", nil, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("another is answered %d", resp.StatusCode)
	}
	if n := most.Load(); n > 300 || n == 0 {
		t.Errorf("%d requests at once", n)
	}
	_ = conn.Close()
	eventually(t, "nothing is left of them", func() bool { return now.Load() == 0 })
}

// TestHeadersWithoutEnd sends endless CONTINUATION frames (CVE-2023-45288). The connection must end long before a
// hundred megabytes.
func TestHeadersWithoutEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	framer, conn, ask := w.frames(t)
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: ask("/api"), EndStream: true}); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	const frame, all = 16_000, 100 << 20
	sent := 0
	for sent < all {
		block.Reset()
		_ = encoder.WriteField(hpack.HeaderField{Name: "x-a", Value: string(bytes.Repeat([]byte("~"), frame/2)), Sensitive: true})
		if err := framer.WriteContinuation(1, false, block.Bytes()); err != nil {
			break
		}
		sent += block.Len()
	}
	if sent >= all {
		t.Errorf("%d bytes of headers were taken", sent)
	}
	if resp, _ := w.do(t, http.MethodGet, "/api", nil, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("another is answered %d", resp.StatusCode)
	}
}
