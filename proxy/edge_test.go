package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
)

// request returns a request of jane.
func (w *world) request(ctx context.Context, t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	return req
}

// TestGoAway uses an API server that closes connections all the time, as with --goaway-chance: with "Connection:
// close" over HTTP/1.1, and with GOAWAY over HTTP/2. No request with a body may fail, and none may arrive twice.
func TestGoAway(t *testing.T) {
	t.Parallel()
	w := &world{}
	var n atomic.Int64
	var twice sync.Map
	w.start(t, func(rw http.ResponseWriter, r *http.Request) {
		if _, again := twice.LoadOrStore(r.URL.Path, true); again {
			t.Errorf("%s arrived twice", r.URL.Path)
		}
		if n.Add(1)%10 == 0 {
			rw.Header().Set("Connection", "close") // net/http then sends GOAWAY over HTTP/2
		}
		got, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(rw, got)
	})
	body := strings.Repeat("x", 4096)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 60 {
				resp, err := w.front.Client().Do(w.request(t.Context(), t, http.MethodPost, fmt.Sprintf("/api/v1/pods/%d-%d", worker, i), body))
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || string(text) != "4096" {
					t.Errorf("%v %s %s", err, resp.Status, text)
				}
			}
		})
	}
	group.Wait()
	if n.Load() != 16*60 {
		t.Errorf("%d requests arrived", n.Load())
	}
}

// TestASlowReaderHoldsTheAPIServerBack uses a client that does not read a large response.
func TestASlowReaderHoldsTheAPIServerBack(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	stop := make(chan struct{})
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			n, err := rw.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				break
			}
		}
		close(stop)
	})
	for _, path := range []string{"/api/v1/pods"} {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := w.front.Client().Do(w.request(ctx, t, http.MethodGet, path, ""))
		if err != nil {
			t.Fatal(err)
		}
		var before int64 = -1
		eventually(t, "the API server is held back", func() bool {
			now := sent.Load()
			held := now == before
			before = now
			return held
		})
		if before > 32<<20 {
			t.Errorf("the API server sent %d MB into nothing", before>>20)
		}
		t.Logf("%d KB sent before it was held back", before>>10)
		cancel()
		resp.Body.Close()
	}
	select {
	case <-stop:
	case <-time.After(10 * time.Second):
		t.Error("the API server was not told that the client is gone")
	}
}

// TestACutAnswerIsNotAWholeOne: a response that the API server aborts must not look complete.
func TestACutAnswerIsNotAWholeOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if _, text := w.do(t, http.MethodGet, "/cut", nil, ""); !strings.HasPrefix(text, "half") || !strings.Contains(text, "ERROR") {
		t.Errorf("%q", text)
	}
}

// TestAClientThatGoesEndsItsWatch checks that the watch at the API server ends when the client disconnects.
func TestAClientThatGoesEndsItsWatch(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		ended <- struct{}{}
	})
	for _, path := range []string{"/api/v1/pods?watch=1", "/api/v1/pods"} {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := w.front.Client().Do(w.request(ctx, t, http.MethodGet, path, ""))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		resp.Body.Close()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s goes on", path)
		}
	}
}

// TestTrailersPass covers announced and unannounced trailers. An early response (103), which no API server sends,
// is neither taken for the response nor passed on.
func TestTrailersPass(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</style.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Set("Trailer", "X-Announced")
		_, _ = io.WriteString(rw, "body")
		rw.Header().Set("X-Announced", "a")
		rw.Header().Set(http.TrailerPrefix+"X-Late", "b")
	})
	var early []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		early = append(early, code)
		return nil
	}})
	resp, err := w.front.Client().Do(w.request(ctx, t, http.MethodGet, "/api", ""))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(text) != "body" || resp.Trailer.Get("X-Announced") != "a" || resp.Trailer.Get("X-Late") != "b" {
		t.Errorf("%v %q %v", err, text, resp.Trailer)
	}
	if resp.StatusCode != http.StatusOK || len(early) != 0 {
		t.Errorf("%s after %v", resp.Status, early)
	}
}

// TestTheAPIServerIsGone: a refused connection, a closed connection and an invalid response become a 503 with a
// message.
func TestTheAPIServerIsGone(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		if strings.Contains(r.URL.Path, "nonsense") {
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n\r\n")
		}
		_ = conn.Close()
	})
	for _, path := range []string{"/api/hangs-up", "/api/nonsense"} {
		if resp, text := w.do(t, http.MethodPost, path, nil, "x"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "cannot reach the cluster's API server") || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %s", path, resp.Status, text)
		}
	}
	w.upstream.Close()
	if resp, text := w.do(t, http.MethodGet, "/api/closed", nil, ""); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, `"kind":"Status"`) {
		t.Errorf("%s %s", resp.Status, text)
	}
}

// TestNothingIsUnrecorded delays the audit record of each request. A request that changes objects must not reach
// the API server before its record is written. The response to any other request must not reach the client before
// that.
func TestNothingIsUnrecorded(t *testing.T) {
	t.Parallel()
	w := &world{}
	var arrived atomic.Int64
	w.start(t, func(rw http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		_, _ = io.WriteString(rw, "secret")
	})
	w.do(t, http.MethodGet, "/api", nil, "")
	for _, c := range []struct {
		method, path, body string
		sent               int64
	}{
		{http.MethodGet, "/api/v1/pods", "", 1},
		{http.MethodHead, "/api/v1/pods", "", 1},
		{http.MethodGet, "/api/v1/pods?watch=1", "", 0},
		{http.MethodGet, "/api/v1/pods", "x", 0},
		{http.MethodPost, "/api/v1/pods", "x", 0},
		{http.MethodPost, "/api/v1/pods", "", 0},
		{http.MethodDelete, "/api/v1/pods/a", "", 0},
	} {
		hold := make(chan struct{})
		w.hold.Store(&hold)
		before, answered := arrived.Load(), make(chan *http.Response, 1)
		go func() {
			resp, _ := w.do(t, c.method, c.path, nil, c.body)
			answered <- resp
		}()
		time.Sleep(100 * time.Millisecond)
		if got := arrived.Load() - before; got != c.sent || len(answered) > 0 {
			t.Errorf("%s %s: %d arrived and %d answered without a record", c.method, c.path, got, len(answered))
		}
		w.hold.Store(nil)
		close(hold)
		if resp := <-answered; resp.StatusCode != http.StatusOK || w.last().Name != audit.ProxyRequest || w.last().RequestID != resp.Header.Get("X-Request-Id") {
			t.Errorf("%s %s: %s %+v", c.method, c.path, resp.Status, w.last())
		}
	}
	w.upstream.Close()
	was := w.count(audit.ProxyRequest)
	if resp, _ := w.do(t, http.MethodGet, "/api", nil, ""); resp.StatusCode != http.StatusServiceUnavailable || w.count(audit.ProxyRequest) != was+1 || w.last().Name != audit.ProxyRefused {
		t.Errorf("%s %+v", resp.Status, w.last())
	}
}

// TestWhose401ItIs: a 401 of the API server itself means that the proxy's credential is invalid, which the user
// cannot fix. A 401 of a service behind the API server is passed on.
func TestWhose401ItIs(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("WWW-Authenticate", "Basic")
		rw.WriteHeader(http.StatusUnauthorized)
	})
	for path, want := range map[string]int{
		"/api/v1/namespaces/a/pods": http.StatusServiceUnavailable, "/healthz": http.StatusServiceUnavailable, "/api/v1/namespaces/a/pods/b/log": http.StatusServiceUnavailable,
		"/api/v1/namespaces/a/services/b/proxy/login": http.StatusUnauthorized, "/api/v1/nodes/n/proxy/metrics": http.StatusUnauthorized, "/api/v1/namespaces/a/pods/b/proxy/": http.StatusUnauthorized,
	} {
		resp, text := w.do(t, http.MethodGet, path, nil, "")
		if resp.StatusCode != want || (want == http.StatusServiceUnavailable) != strings.Contains(text, "the proxy's own credential") {
			t.Errorf("%s: %s %s", path, resp.Status, text)
		}
	}
}

// TestHalfClose: a client that closes its sending side still gets the rest of the response.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.start(t, func(rw http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
		all, _ := io.ReadAll(buffered)
		time.Sleep(100 * time.Millisecond)
		_, _ = fmt.Fprintf(conn, "%d bytes", len(all))
	})
	conn, answer := w.raw(t, "POST /api/v1/namespaces/a/pods/b/attach HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade\nUpgrade: SPDY/3.1\n\nhello")
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("no way to close one side")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "5 bytes") {
		t.Errorf("%q", text)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		if is() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}
