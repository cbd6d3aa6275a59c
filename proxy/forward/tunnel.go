package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/status"
)

// tunnel is an upgraded connection to the API server.
type tunnel struct {
	io.ReadWriteCloser
	call      *Call
	inspector Inspector // nil if the tunnel is not recorded
}

// inspectedReader is one direction of a tunnel with an inspector.
type inspectedReader struct {
	io.Reader
	client  *clientConn
	inspect func(p []byte) *status.Error
}

// Read implements io.Reader.
func (w *inspectedReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n == 0 {
		return n, err
	}
	if reason := w.inspect(p[:n]); reason != nil {
		w.client.closeWithReason(reason)
		return 0, reason
	}
	return n, err
}

// tunnel takes over the client's connection and copies both pools until one side ends.
func (f *Forwarder) tunnel(ctx context.Context, w http.ResponseWriter, resp *http.Response, t *tunnel) *status.Error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return status.UpgradeFailed(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Time{}) // a session may be idle for long
	t.call.responseStarted(http.StatusSwitchingProtocols)
	result := &t.call.Result
	if result.Err = writeSwitchingProtocols(conn, resp); result.Err != nil {
		return nil
	}
	client := &clientConn{Conn: conn, websocket: resp.Header.Get("Upgrade") == "websocket"}
	stop := context.AfterFunc(ctx, func() {
		client.closeWithReason(terminationReason(ctx))
		_ = conn.Close()
		_ = t.Close()
	})
	defer stop()
	up, back := io.Reader(buffered), io.Reader(t.ReadWriteCloser)
	if t.inspector != nil {
		up, back = &inspectedReader{up, client, t.inspector.FromClient}, &inspectedReader{back, client, t.inspector.FromServer}
	}
	result.BytesIn, result.BytesOut, result.Err = f.copyBothWays(client, up, &upstreamConn{t.ReadWriteCloser, back})
	return nil
}

// upstreamConn is the connection to the API server with an inspected read side.
type upstreamConn struct {
	io.ReadWriteCloser
	reader io.Reader
}

// Read implements io.Reader.
func (r *upstreamConn) Read(p []byte) (int, error) { return r.reader.Read(p) }

// CloseWrite closes the write side, if the connection supports it.
func (r *upstreamConn) CloseWrite() error {
	half, ok := r.ReadWriteCloser.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// writeSwitchingProtocols passes the API server's 101 response on to the client.
func writeSwitchingProtocols(conn net.Conn, resp *http.Response) error {
	var head strings.Builder
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
	for name, values := range resp.Header {
		if name == "Connection" {
			continue
		}
		for _, v := range values {
			head.WriteString(name + ": " + v + "\r\n")
		}
	}
	if _, err := io.WriteString(conn, head.String()+"\r\n"); err != nil {
		return fmt.Errorf("switching protocols: %w", err)
	}
	return nil
}

// copyBothWays copies until one side ends. The buffered reader of the client first returns data that
// the client sent along with its request.
func (f *Forwarder) copyBothWays(conn net.Conn, client io.Reader, upstream io.ReadWriteCloser) (in, out int64, err error) {
	type end struct {
		bytes int64
		err   error
	}
	up, down := make(chan end, 1), make(chan end, 1)
	go func() { n, err := f.copy(upstream, client); up <- end{n, err} }()
	go func() { n, err := f.copy(conn, upstream); down <- end{n, err} }()
	var a, b end
	select {
	case a = <-up:
		// The client has closed its write side. The API server may still answer its last bytes.
		if half, ok := upstream.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			select {
			case b = <-down:
				return a.bytes, b.bytes, errors.Join(a.err, b.err)
			case <-time.After(halfCloseTimeout): //nolint:forbidigo // a bound on real time, not a decision
			}
		}
		_ = upstream.Close()
		b = <-down
	case b = <-down:
		_ = conn.Close()
		_ = upstream.Close()
		a = <-up
	}
	return a.bytes, b.bytes, errors.Join(a.err, b.err)
}

// halfCloseTimeout is how long the API server may send after the client has closed its write side.
const halfCloseTimeout = 30 * time.Second

func (f *Forwarder) copy(dst io.Writer, src io.Reader) (int64, error) {
	buffer, ok := f.buffers.Get().(*[]byte)
	if !ok {
		return 0, nil
	}
	defer f.buffers.Put(buffer)
	return pump(dst, src, *buffer, func() error { return nil })
}
