package fastpath_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
)

// TestConnectionReuse checks that the pool opens only as many connections as requests run at the
// same time, and keeps at most MaxIdle of them.
func TestConnectionReuse(t *testing.T) {
	t.Parallel()
	together, again := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		switch r.URL.Path {
		case "/together":
			<-together
		case "/again":
			<-again
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	})
	pool := s.pool(t)
	for range 10 {
		send(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	}
	if opened := s.opened.Load(); opened != 1 {
		t.Errorf("%d connections for one request at a time", opened)
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/together")); got.Body != "hi" {
				t.Errorf("%+v", got)
			}
		})
	}
	eventually(t, func() bool { return s.opened.Load() == 10 })
	close(together)
	group.Wait()
	for range 10 {
		send(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	}
	if opened := s.opened.Load(); opened != 10 {
		t.Errorf("%d connections", opened)
	}
	for range 10 {
		group.Go(func() { send(pool, s.request(t.Context(), t, http.MethodGet, "/again")) })
	}
	eventually(t, func() bool { return s.opened.Load() == 16 }) // four idle connections are reused
	close(again)
	group.Wait()
}

// TestCancelAfterResponseKeepsConnection ends the context of each request after its response, as an
// http.Server does.
func TestCancelAfterResponseKeepsConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	})
	pool := s.pool(t)
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		send(pool, s.request(ctx, t, http.MethodGet, "/"))
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
	if opened := s.opened.Load(); opened != 1 {
		t.Errorf("%d connections", opened)
	}
}

// TestConnectionClose checks that a connection is not reused after "Connection: close", even if the
// server keeps it open.
func TestConnectionClose(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
		<-done
	})
	t.Cleanup(func() { close(done) })
	pool := s.pool(t)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if got := send(pool, s.request(ctx, t, http.MethodGet, "/")); got.Body != "hi" {
			t.Errorf("%+v", got)
		}
		cancel()
	}
}

// TestUnsolicitedResponses checks that data after a response, or between requests, is never taken
// for the response to the next request.
func TestUnsolicitedResponses(t *testing.T) {
	t.Parallel()
	const answer, evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, respond := range map[string]func(conn net.Conn){
		"in the same write": func(conn net.Conn) { _, _ = io.WriteString(conn, answer+evil) },
		"in another record": func(conn net.Conn) { _, _ = io.WriteString(conn, answer); _, _ = io.WriteString(conn, evil) },
		"later": func(conn net.Conn) {
			_, _ = io.WriteString(conn, answer)
			time.Sleep(20 * time.Millisecond)
			_, _ = io.WriteString(conn, evil)
		},
		"as a time-out": func(conn net.Conn) {
			_, _ = io.WriteString(conn, answer+"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil")
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := make(chan struct{}, 1)
			s := newServer(t, func(conn net.Conn, _ *http.Request) {
				respond(conn)
				sent <- struct{}{}
			})
			pool := s.pool(t)
			for i := range 10 {
				if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/")); got.Body != "good" {
					t.Fatalf("%d: %+v", i, got)
				}
				<-sent // the unsolicited response has been written
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// TestRetryAfterServerClose closes reused connections between requests and after receiving one.
func TestRetryAfterServerClose(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		switch n.Add(1) % 3 {
		case 1:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		case 2: // closes after it has read the request
			closeConn(conn, r)
		case 0: // closes after the response
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			closeConn(conn, r)
		}
	})
	pool := s.pool(t)
	for i := range 30 {
		if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/")); got.Body != "hi" {
			t.Fatalf("%d: %+v", i, got)
		}
		time.Sleep(time.Duration(i%2) * 10 * time.Millisecond)
	}
}

// TestNoRetryAfterFirstByte checks that a truncated response, or a failure on a new connection, is an
// error and not retried.
func TestNoRetryAfterFirstByte(t *testing.T) {
	t.Parallel()
	var n, unanswered atomic.Int64
	mute := newServer(t, func(conn net.Conn, r *http.Request) {
		unanswered.Add(1)
		closeConn(conn, r)
	})
	if got := send(mute.pool(t), mute.request(t.Context(), t, http.MethodGet, "/")); !got.Failed || unanswered.Load() != 1 {
		t.Errorf("%+v after %d requests over a new connection", got, unanswered.Load())
	}
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		if n.Add(1) == 1 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200")
		closeConn(conn, r)
	})
	pool := s.pool(t)
	send(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/")); !got.Failed || n.Load() != 2 {
		t.Errorf("%+v after %d requests", got, n.Load())
	}
}

// TestBodyClosedEarly checks that the connection of a body that was closed before its end is closed
// and not reused.
func TestBodyClosedEarly(t *testing.T) {
	t.Parallel()
	var ended atomic.Int64
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
		if r.URL.Path == "/half" {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				ended.Add(1)
			}
		}
		_, _ = io.WriteString(conn, "56789")
	})
	pool := s.pool(t)
	for n := range int64(3) {
		resp, err := pool.RoundTrip(s.request(t.Context(), t, http.MethodGet, "/half"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 5))
		resp.Body.Close()
		if _, err := resp.Body.Read(make([]byte, 10)); err == nil {
			t.Error("a closed body can be read")
		}
		if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/whole")); got.Body != "0123456789" {
			t.Errorf("%+v", got)
		}
		eventually(t, func() bool { return ended.Load() == n+1 })
	}
}

// TestIdleTimeout checks that idle connections are closed after their timeout, and busy ones are not.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	var ended atomic.Int64
	s := newServer(t, nil)
	release := make(chan struct{})
	s.respond = func(conn net.Conn, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-release
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	}
	dial := func(ctx context.Context) (*tls.Conn, error) {
		raw, err := net.Dial("tcp", s.address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(closeCounter{raw.(*net.TCPConn), &ended}, s.config())
		return conn, conn.HandshakeContext(ctx)
	}
	pool := s.newPool(t, fastpath.Config{Dial: dial, Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 4, IdleTimeout: 50 * time.Millisecond})
	waiting := make(chan response)
	go func() { waiting <- send(pool, s.request(t.Context(), t, http.MethodGet, "/wait")) }()
	eventually(t, func() bool { return s.opened.Load() == 1 })
	send(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	eventually(t, func() bool { return ended.Load() == 1 })
	close(release)
	if got := <-waiting; got.Body != "hi" {
		t.Errorf("%+v", got)
	}
	eventually(t, func() bool { return ended.Load() == 2 })
}

// closeCounter counts closed connections.
type closeCounter struct {
	*net.TCPConn
	ended *atomic.Int64
}

func (c closeCounter) Close() error {
	c.ended.Add(1)
	return c.TCPConn.Close()
}
