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

// tunnel is an open way to the API server.
type tunnel struct {
	io.ReadWriteCloser
	job       *Call
	inspector Inspector // nil where nobody looks
}

// watched is one direction of a tunnel that somebody looks at.
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
	if why := w.inspect(p[:n]); why != nil {
		w.client.closeWithReason(why)
		return 0, why
	}
	return n, err
}

// tunnel takes the client's connection over and copies both ways until one side
// ends.
func (f *Forwarder) tunnel(ctx context.Context, w http.ResponseWriter, resp *http.Response, t *tunnel) *status.Error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return status.UpgradeFailed(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Time{}) // a shell may be quiet for long
	t.job.responseStarted(http.StatusSwitchingProtocols)
	result := &t.job.Result
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

// readFrom is a way to the API server that is read through somebody.
type upstreamConn struct {
	io.ReadWriteCloser
	reader io.Reader
}

// Read implements io.Reader.
func (r *upstreamConn) Read(p []byte) (int, error) { return r.reader.Read(p) }

// CloseWrite ends one direction, where that is possible.
func (r *upstreamConn) CloseWrite() error {
	half, ok := r.ReadWriteCloser.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// writeSwitch repeats the API server's 101 to the client.
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

// both copies until either side is done. What the client sent along with its
// request is in the buffered reader and comes first.
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
		// The client is done. Its last bytes are on their way; the answer to
		// them must still come through.
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

// halfClosed is how long the API server may go on after the client has closed
// its side.
const halfCloseTimeout = 30 * time.Second

func (f *Forwarder) copy(dst io.Writer, src io.Reader) (int64, error) {
	buffer, ok := f.buffers.Get().(*[]byte)
	if !ok {
		return 0, nil
	}
	defer f.buffers.Put(buffer)
	return pump(dst, src, *buffer, func() error { return nil })
}
