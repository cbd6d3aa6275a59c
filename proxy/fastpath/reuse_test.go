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

// TestConnectionsAreUsedAgain, by as many as are needed at once, and no more are kept.
func TestConnectionsAreUsedAgain(t *testing.T) {
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
		ask(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	}
	if opened := s.opened.Load(); opened != 1 {
		t.Errorf("%d connections for one request at a time", opened)
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/together")); got.Body != "hi" {
				t.Errorf("%+v", got)
			}
		})
	}
	eventually(t, func() bool { return s.opened.Load() == 10 })
	close(together)
	group.Wait()
	for range 10 {
		ask(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	}
	if opened := s.opened.Load(); opened != 10 {
		t.Errorf("%d connections", opened)
	}
	for range 10 {
		group.Go(func() { ask(pool, s.request(t.Context(), t, http.MethodGet, "/again")) })
	}
	eventually(t, func() bool { return s.opened.Load() == 16 }) // four were kept
	close(again)
	group.Wait()
}

// TestTheEndOfARequestIsNotThatOfItsConnection: a server ends the context of each when it is
// answered.
func TestTheEndOfARequestIsNotThatOfItsConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	})
	pool := s.pool(t)
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		ask(pool, s.request(ctx, t, http.MethodGet, "/"))
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
	if opened := s.opened.Load(); opened != 1 {
		t.Errorf("%d connections", opened)
	}
}

// TestAConnectionThatIsToEndIsNotUsedAgain, even when it stays open.
func TestAConnectionThatIsToEndIsNotUsedAgain(t *testing.T) {
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
		if got := ask(pool, s.request(ctx, t, http.MethodGet, "/")); got.Body != "hi" {
			t.Errorf("%+v", got)
		}
		cancel()
	}
}

// TestAnAnswerIsOnlyForWhoAsked: what comes unasked, behind an answer or while nobody asks,
// is not taken for the answer to the next request.
func TestAnAnswerIsOnlyForWhoAsked(t *testing.T) {
	t.Parallel()
	const answer, evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, say := range map[string]func(conn net.Conn){
		"in the same breath": func(conn net.Conn) { _, _ = io.WriteString(conn, answer+evil) },
		"in another record":  func(conn net.Conn) { _, _ = io.WriteString(conn, answer); _, _ = io.WriteString(conn, evil) },
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
			s := newServer(t, func(conn net.Conn, _ *http.Request) { say(conn) })
			pool := s.pool(t)
			for i := range 10 {
				if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/")); got.Body != "good" {
					t.Fatalf("%d: %+v", i, got)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

// TestAServerThatHangsUp between requests, or as one is on its way, is asked again.
func TestAServerThatHangsUp(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		switch n.Add(1) % 3 {
		case 1:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		case 2: // it takes the request and goes
			hangUp(conn, r)
		case 0: // it goes after the answer, without a word
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			hangUp(conn, r)
		}
	})
	pool := s.pool(t)
	for i := range 30 {
		if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/")); got.Body != "hi" {
			t.Fatalf("%d: %+v", i, got)
		}
		time.Sleep(time.Duration(i%2) * 10 * time.Millisecond)
	}
}

// TestAnswersThatBeginAreNotAskedForAgain: half an answer is an error.
func TestAnswersThatBeginAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	var n, silent atomic.Int64
	mute := newServer(t, func(conn net.Conn, r *http.Request) {
		silent.Add(1)
		hangUp(conn, r)
	})
	if got := ask(mute.pool(t), mute.request(t.Context(), t, http.MethodGet, "/")); !got.Failed || silent.Load() != 1 {
		t.Errorf("%+v after %d requests over a new connection", got, silent.Load())
	}
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		if n.Add(1) == 1 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200")
		hangUp(conn, r)
	})
	pool := s.pool(t)
	ask(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/")); !got.Failed || n.Load() != 2 {
		t.Errorf("%+v after %d requests", got, n.Load())
	}
}

// TestWhatIsClosedEarlyIsNotUsedAgain: the rest of an answer, whenever it comes, is not somebody
// else's, and the API server hears that nobody waits for it.
func TestWhatIsClosedEarlyIsNotUsedAgain(t *testing.T) {
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
			t.Error("a closed answer is read")
		}
		if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/whole")); got.Body != "0123456789" {
			t.Errorf("%+v", got)
		}
		eventually(t, func() bool { return ended.Load() == n+1 })
	}
}

// TestIdleConnectionsEnd after their time, and only they.
func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	var ended atomic.Int64
	s := newServer(t, nil)
	release := make(chan struct{})
	s.say = func(conn net.Conn, r *http.Request) {
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
		conn := tls.Client(counted{raw.(*net.TCPConn), &ended}, s.config())
		return conn, conn.HandshakeContext(ctx)
	}
	pool := s.poolWith(t, fastpath.Config{Dial: dial, Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 4, IdleTimeout: 50 * time.Millisecond})
	waiting := make(chan heard)
	go func() { waiting <- ask(pool, s.request(t.Context(), t, http.MethodGet, "/wait")) }()
	eventually(t, func() bool { return s.opened.Load() == 1 })
	ask(pool, s.request(t.Context(), t, http.MethodGet, "/"))
	eventually(t, func() bool { return ended.Load() == 1 })
	close(release)
	if got := <-waiting; got.Body != "hi" {
		t.Errorf("%+v", got)
	}
	eventually(t, func() bool { return ended.Load() == 2 })
}

// counted counts connections that are closed.
type counted struct {
	*net.TCPConn
	ended *atomic.Int64
}

func (c counted) Close() error {
	c.ended.Add(1)
	return c.TCPConn.Close()
}
