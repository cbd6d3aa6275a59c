package fastpath_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// server is one of TLS that answers each request as say wants, byte by byte.
type server struct {
	address string
	opened  atomic.Int64
	say     func(conn net.Conn, r *http.Request)
}

func newServer(t *testing.T, say func(conn net.Conn, r *http.Request)) *server {
	t.Helper()
	ca, err := pki.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &server{address: ln.Addr().String(), say: say}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.opened.Add(1)
			go s.serve(conn)
		}
	}()
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		s.say(conn, r)
		if r.Close {
			return
		}
	}
}

// hangUp has the server close a connection after what it said.
func hangUp(conn net.Conn, r *http.Request) {
	_ = conn.Close()
	r.Close = true
}

func (s *server) config() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func (s *server) pool(t *testing.T) *fastpath.Pool {
	t.Helper()
	return s.poolWith(t, fastpath.Config{
		Dial: func(ctx context.Context) (*tls.Conn, error) {
			conn, err := (&tls.Dialer{Config: s.config()}).DialContext(ctx, "tcp", s.address)
			if err != nil {
				return nil, err
			}
			return conn.(*tls.Conn), nil
		},
		Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 4, IdleTimeout: time.Minute,
	})
}

func (s *server) poolWith(t *testing.T, cfg fastpath.Config) *fastpath.Pool {
	t.Helper()
	p := fastpath.New(cfg)
	t.Cleanup(p.CloseIdleConnections)
	return p
}

func (s *server) request(ctx context.Context, t *testing.T, method, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// heard is what came of a request.
type heard struct {
	Status  string
	Header  http.Header
	Length  int64
	Chunked []string
	Body    string
	Trailer http.Header
	Failed  bool // to answer, or in the middle of it
}

func ask(way http.RoundTripper, req *http.Request) heard {
	resp, err := way.RoundTrip(req)
	if err != nil {
		return heard{Failed: true}
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return heard{resp.Status, resp.Header, resp.ContentLength, resp.TransferEncoding, string(text), resp.Trailer, err != nil}
}

// answers are what an API server, or something that takes itself for one, may say.
func answers() map[string]string {
	return map[string]string{
		"length":              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"nothing":             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no content":          "HTTP/1.1 204 No Content\r\n\r\n",
		"not modified":        "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n\r\n",
		"chunks":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		"trailers":            "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n",
		"early":               "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"until it ends":       "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it",
		"HTTP/1.0":            "HTTP/1.0 200 OK\r\n\r\nold",
		"twice the same":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhi",
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
		"length and chunks":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"negative length":     "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
		"cut":                 "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
		"cut in chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"chunks without end":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"no such chunk":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
		"cut header":          "HTTP/1.1 200 OK\r\nContent-Le",
		"another protocol":    "SSH-2.0-OpenSSH\r\n\r\n",
		"an odd status":       "HTTP/1.1 2000 OK\r\n\r\n",
		"an odd header":       "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"a name with a space": "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
		"switched":            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
		"silence":             "",
		"an endless header":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
		"endless early ones":  strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: "+strings.Repeat("a", 1000)+"\r\n\r\n", 3000) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a long answer":       "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("a", 3000000),
		"a gzipped one":       "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
	}
}

// TestItReadsWhatNetHTTPReads gives each answer to both.
func TestItReadsWhatNetHTTPReads(t *testing.T) {
	t.Parallel()
	for name, text := range answers() {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(conn net.Conn, r *http.Request) {
					if head, _, found := strings.Cut(text, "\r\n\r\n"); found && r.Method == http.MethodHead && !strings.Contains(text, " 103 ") {
						_, _ = io.WriteString(conn, head+"\r\n\r\n")
					} else {
						_, _ = io.WriteString(conn, text)
					}
					hangUp(conn, r)
				})
				theirs := &http.Transport{TLSClientConfig: s.config(), DisableCompression: true, DisableKeepAlives: false, MaxResponseHeaderBytes: 1 << 20}
				t.Cleanup(theirs.CloseIdleConnections)
				want := ask(theirs, s.request(t.Context(), t, method, "/"))
				if name == "switched" { // nobody asked for it here: a tunnel that nobody looks into
					want = heard{Failed: true}
				}
				if diff := cmp.Diff(want, ask(s.pool(t), s.request(t.Context(), t, method, "/"))); diff != "" {
					t.Errorf("-net/http +inline:\n%s", diff)
				}
			})
		}
	}
}

// TestItSendsWhatNetHTTPSends compares the bytes.
func TestItSendsWhatNetHTTPSends(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []string
	s := newServer(t, nil)
	s.say = func(conn net.Conn, r *http.Request) {
		var text strings.Builder
		fmt.Fprintln(&text, r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, r.TransferEncoding)
		_ = r.Header.WriteSubset(&text, nil)
		mu.Lock()
		sent = append(sent, text.String())
		mu.Unlock()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}
	theirs := &http.Transport{TLSClientConfig: s.config(), DisableCompression: true}
	t.Cleanup(theirs.CloseIdleConnections)
	pool := s.pool(t)
	for _, path := range []string{"/", "/api/v1/pods?limit=500&continue=a%2Fb", "/api//v1/%2e%2e/x", "/a?b;c", "/a?", "/ä"} {
		for _, header := range []http.Header{
			{}, {"User-Agent": nil}, {"User-Agent": {"kubectl"}}, {"Impersonate-Group": {"a", "b"}, "Impersonate-Extra-A%2fb": {"ü", ""}, "Accept": {"application/json;as=Table", "*/*"}},
		} {
			sent = nil
			for _, way := range []http.RoundTripper{theirs, pool} {
				req := s.request(t.Context(), t, http.MethodGet, path)
				req.Header = header.Clone()
				if got := ask(way, req); got.Status != "204 No Content" {
					t.Fatalf("%+v", got)
				}
			}
			if diff := cmp.Diff(sent[0], sent[1]); diff != "" {
				t.Errorf("-net/http +inline:\n%s", diff)
			}
		}
	}
	if opened := s.opened.Load(); opened != 2 {
		t.Errorf("%d connections", opened)
	}
}

// TestItRefuses what it could not send as it was meant.
func TestItRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) { _, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n") })
	pool := s.pool(t)
	for name, change := range map[string]func(r *http.Request){
		"a method that does things": func(r *http.Request) { r.Method = http.MethodDelete },
		"a body":                    func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"an upgrade":                func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket"} },
		"a header of two lines":     func(r *http.Request) { r.Header["Impersonate-User"] = []string{"a\r\nImpersonate-Group: b"} },
		"a name of two lines":       func(r *http.Request) { r.Header["A: b\r\nC"] = []string{"d"} },
		"a zero byte":               func(r *http.Request) { r.Header["Impersonate-User"] = []string{"a\x00"} },
	} {
		req := s.request(t.Context(), t, http.MethodGet, "/")
		change(req)
		if got := ask(pool, req); !got.Failed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if opened := s.opened.Load(); opened != 0 {
		t.Errorf("%d connections", opened)
	}
}

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

// TestMeanwhile is after the request has arrived and before it is answered.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	arrived, done := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		close(arrived)
		<-done
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ctx = fastpath.Meanwhile(ctx, func() {
		<-arrived
		close(done)
	})
	if got := ask(s.pool(t), s.request(ctx, t, http.MethodGet, "/")); got.Status != "204 No Content" {
		t.Errorf("%+v", got)
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

// TestWhoGivesUpIsNotWaitedFor, before the answer and in the middle of it, and the API server
// hears of it.
func TestWhoGivesUpIsNotWaitedFor(t *testing.T) {
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
	ask(pool, s.request(t.Context(), t, http.MethodGet, "/quick"))
	why := errors.New("enough")
	for _, path := range []string{"/never", "/half"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
		resp, err := pool.RoundTrip(s.request(ctx, t, http.MethodGet, path))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !errors.Is(err, why) {
			t.Errorf("%s: %v", path, err)
		}
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s goes on", path)
		}
		if got := ask(pool, s.request(t.Context(), t, http.MethodGet, "/quick")); got.Body != "hi" {
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

// TestTakenBackRequestsCostLittle has thousands asked for and taken back: only so many
// connections are opened at a time, and what was opened for nobody is used by the next.
func TestTakenBackRequestsCostLittle(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	})
	var now, most, all atomic.Int64
	release := make(chan struct{})
	pool := s.poolWith(t, fastpath.Config{Now: time.Now, DialTimeout: 20 * time.Second, MaxIdle: 100, IdleTimeout: time.Minute, Dial: func(ctx context.Context) (*tls.Conn, error) {
		all.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
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
	eventually(t, func() bool { return now.Load() >= 32 })
	cancel()
	group.Wait()
	waited := make(chan heard)
	go func() { waited <- ask(pool, s.request(t.Context(), t, http.MethodGet, "/")) }()
	time.Sleep(50 * time.Millisecond) // it stands behind them
	close(release)
	if got := <-waited; got.Body != "hi" || most.Load() != 32 || all.Load() != 32 {
		t.Errorf("%+v, %d at once, %d in all", got, most.Load(), all.Load())
	}
}

// TestNobodyWaitsForEver for a server that takes no connections, and be it behind others.
func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	pool := s.poolWith(t, fastpath.Config{Now: time.Now, DialTimeout: 100 * time.Millisecond, MaxIdle: 1, IdleTimeout: time.Minute, Dial: func(context.Context) (*tls.Conn, error) {
		<-end
		return nil, errors.New("the end")
	}})
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := pool.RoundTrip(s.request(t.Context(), t, http.MethodGet, "/")); err == nil || !strings.Contains(err.Error(), "in time") {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestManyAtOnce has many ask, give up and read half, and each gets what they asked for.
func TestManyAtOnce(t *testing.T) {
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

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not in time")
}

// TestTakes says for which requests it is.
func TestTakes(t *testing.T) {
	t.Parallel()
	var taken []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		if fastpath.Takes(&http.Request{Method: method}) {
			taken = append(taken, method)
		}
	}
	if !slices.Equal(taken, []string{http.MethodGet, http.MethodHead}) {
		t.Error(taken)
	}
}
