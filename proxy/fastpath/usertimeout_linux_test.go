package fastpath_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
)

// dropIncoming makes the kernel drop all incoming packets of a connection, so that sent data is never
// acknowledged, as if the machine were gone.
func dropIncoming(t *testing.T, conn net.Conn) {
	raw, err := conn.(*tls.Conn).NetConn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	_ = raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]}); err != nil {
			t.Error(err)
		}
	})
}

// TestUnreachableMachine checks that a dead connection is closed and the request is retried.
func TestUnreachableMachine(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		if r.URL.Path == "/last" {
			dropIncoming(t, conn)
			close(gone)
		}
	})
	dialer := &net.Dialer{Control: fastpath.UserTimeoutControl(500 * time.Millisecond)}
	pool := s.newPool(t, fastpath.Config{Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 4, IdleTimeout: time.Minute, Dial: func(ctx context.Context) (*tls.Conn, error) {
		raw, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, s.config())
		return conn, conn.HandshakeContext(ctx)
	}})
	send(pool, s.request(t.Context(), t, http.MethodGet, "/last"))
	<-gone
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got := send(pool, s.request(ctx, t, http.MethodGet, "/")); got.Body != "hi" || s.opened.Load() != 2 {
		t.Errorf("%+v over %d connections", got, s.opened.Load())
	}
}
