package fastpath_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
)

// TestWithInFlightFunc checks that the function runs after the request has arrived and before its
// response.
func TestWithInFlightFunc(t *testing.T) {
	t.Parallel()
	arrived, done := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		close(arrived)
		<-done
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ctx = fastpath.WithInFlightFunc(ctx, func() {
		<-arrived
		close(done)
	})
	if got := send(s.pool(t), s.request(ctx, t, http.MethodGet, "/")); got.Status != "204 No Content" {
		t.Errorf("%+v", got)
	}
}

// TestCancellation cancels requests before their response and in the middle of it, and checks that the
// server's connection is closed.
func TestCancellation(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 2)
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		switch r.URL.Path {
		case "/quick":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			return
		case "/half":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
		}
		_, _ = conn.Read(make([]byte, 1))
		gone <- struct{}{}
		r.Close = true
	})
	pool := s.pool(t)
	send(pool, s.request(t.Context(), t, http.MethodGet, "/quick"))
	cause := errors.New("enough")
	for _, path := range []string{"/never", "/half"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		resp, err := pool.RoundTrip(s.request(ctx, t, http.MethodGet, path))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !errors.Is(err, cause) {
			t.Errorf("%s: %v", path, err)
		}
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the connection is still open", path)
		}
		if got := send(pool, s.request(t.Context(), t, http.MethodGet, "/quick")); got.Body != "hi" {
			t.Errorf("after %s: %+v", path, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opened := s.opened.Load()
	if _, err := pool.RoundTrip(s.request(ctx, t, http.MethodGet, "/quick")); !errors.Is(err, context.Canceled) || s.opened.Load() != opened {
		t.Errorf("%v", err)
	}
}

// TestDialLimit sends and cancels thousands of requests. It checks the number of connections that are
// opened at the same time, and that the next request uses one of them.
func TestDialLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	})
	var current, maximum, total atomic.Int64
	release := make(chan struct{})
	pool := s.newPool(t, fastpath.Config{Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 100, IdleTimeout: time.Minute, Dial: func(ctx context.Context) (*tls.Conn, error) {
		total.Add(1)
		n := current.Add(1)
		defer current.Add(-1)
		for seen := maximum.Load(); n > seen && !maximum.CompareAndSwap(seen, n); seen = maximum.Load() {
		}
		<-release
		conn, err := (&tls.Dialer{Config: s.config()}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			return nil, err
		}
		return conn.(*tls.Conn), nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2000 {
		group.Go(func() {
			if _, err := pool.RoundTrip(s.request(ctx, t, http.MethodGet, "/")); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	eventually(t, func() bool { return current.Load() >= 32 })
	cancel()
	group.Wait()
	waited := make(chan response)
	go func() { waited <- send(pool, s.request(t.Context(), t, http.MethodGet, "/")) }()
	time.Sleep(50 * time.Millisecond) // it waits for a dial slot
	close(release)
	if got := <-waited; got.Body != "hi" || maximum.Load() != 32 || total.Load() != 32 {
		t.Errorf("%+v, %d at once, %d in all", got, maximum.Load(), total.Load())
	}
}

// TestDialTimeout checks that requests do not wait longer than DialTimeout for a connection or for a
// dial slot.
func TestDialTimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	pool := s.newPool(t, fastpath.Config{Now: time.Now, DialTimeout: 100 * time.Millisecond, MaxIdle: 1, IdleTimeout: time.Minute, Dial: func(context.Context) (*tls.Conn, error) {
		<-end
		return nil, errors.New("test ended")
	}})
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := pool.RoundTrip(s.request(t.Context(), t, http.MethodGet, "/")); err == nil || !strings.Contains(err.Error(), "timed out") {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestConcurrentRequests sends, cancels and partly reads many requests at once, and checks that each
// gets its own response.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, r *http.Request) {
		text := strings.Repeat(r.URL.Path, 500)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	})
	pool := s.pool(t)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 60 {
				path := fmt.Sprintf("/%d-%d.", worker, i)
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := pool.RoundTrip(s.request(ctx, t, http.MethodGet, path))
				if err != nil {
					t.Error(err)
					cancel()
					continue
				}
				switch i % 4 {
				case 0:
					cancel()
				case 1:
					resp.Body.Close()
				}
				text, err := io.ReadAll(resp.Body)
				if want := strings.Repeat(path, 500); !strings.HasPrefix(want, string(text)) || err == nil && string(text) != want || err != nil && i%4 > 1 {
					t.Errorf("%s: %d bytes, %v", path, len(text), err)
				}
				resp.Body.Close()
				cancel()
			}
		})
	}
	group.Wait()
}
