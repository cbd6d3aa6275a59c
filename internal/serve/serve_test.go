package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestRunDrains(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	ln := listen(t)
	draining := make(chan struct{})
	srv := &serve.Server{
		Name: "test", Listener: ln, Logger: slog.New(slog.DiscardHandler), Drain: 10 * time.Second,
		OnDrain: func() { close(draining) },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(started)
			<-release
			_, _ = io.WriteString(w, "done")
		}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Run(ctx) }()

	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-started
	cancel()
	<-draining
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("request in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestCertificateReloads(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, err := pki.NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(modified time.Time) {
		pair, err := ca.Server(now)
		if err != nil {
			t.Fatal(err)
		}
		cert, key, err := pair.Write(dir, "tls")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{cert, key} {
			if err := os.Chtimes(f, modified, modified); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(now.Add(-time.Hour))
	clock := now
	c, err := serve.LoadCertificate(dir+"/tls.crt", dir+"/tls.key", func() time.Time { return clock }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	get := func() *tls.Certificate {
		got, err := c.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := get()
	write(now)
	if get() != first {
		t.Error("files must not be read for every handshake")
	}
	clock = clock.Add(time.Minute)
	second := get()
	if second == first {
		t.Error("a new pair must be taken up")
	}
	if err := os.WriteFile(dir+"/tls.crt", []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Minute)
	if get() != second {
		t.Error("a broken pair must not replace a good one")
	}
}

// TestSlowAndLargeHeaders: who never finishes asking is cut off, over TLS that is never begun
// as well, and headers have a limit.
func TestSlowAndLargeHeaders(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	srv := &serve.Server{Name: "test", Listener: ln, Logger: slog.New(slog.DiscardHandler), Handler: http.NotFoundHandler()}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-stopped })
	answer := func(request string) string {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, request); err != nil {
			return "hung up"
		}
		text, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "still open"
		}
		return string(text)
	}
	var group sync.WaitGroup
	for _, request := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "} {
		group.Go(func() {
			if got := answer(request); got == "still open" {
				t.Errorf("%q keeps its connection", request)
			}
		})
	}
	if got := answer("GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("x", 90<<10) + "\r\n\r\n"); !strings.Contains(got, "431") && got != "hung up" {
		t.Errorf("90 KB of headers: %.60q", got)
	}
	if got := answer("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: " + strings.Repeat("x", 60<<10) + "\r\n\r\n"); !strings.Contains(got, "404") {
		t.Errorf("60 KB of headers: %.60q", got)
	}
	group.Wait()
}
