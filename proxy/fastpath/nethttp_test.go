package fastpath_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
)

// responses returns valid and broken responses of an API server.
func responses() map[string]string {
	return map[string]string{
		"length":              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"length 0":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no content":          "HTTP/1.1 204 No Content\r\n\r\n",
		"not modified":        "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n\r\n",
		"chunks":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		"trailers":            "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n",
		"1xx":                 "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"until the close":     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it",
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
		"an invalid status":   "HTTP/1.1 2000 OK\r\n\r\n",
		"an invalid header":   "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"a name with a space": "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
		"switched":            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
		"empty":               "",
		"an endless header":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
		"endless 1xx":         strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: "+strings.Repeat("a", 1000)+"\r\n\r\n", 3000) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a long answer":       "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("a", 3000000),
		"a gzipped one":       "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
	}
}

// TestResponsesMatchNetHTTP compares how the pool and net/http read each response.
func TestResponsesMatchNetHTTP(t *testing.T) {
	t.Parallel()
	for name, text := range responses() {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(conn net.Conn, r *http.Request) {
					if head, _, found := strings.Cut(text, "\r\n\r\n"); found && r.Method == http.MethodHead && !strings.Contains(text, " 103 ") {
						_, _ = io.WriteString(conn, head+"\r\n\r\n")
					} else {
						_, _ = io.WriteString(conn, text)
					}
					closeConn(conn, r)
				})
				netHTTP := &http.Transport{TLSClientConfig: s.config(), DisableCompression: true, DisableKeepAlives: false, MaxResponseHeaderBytes: 1 << 20}
				t.Cleanup(netHTTP.CloseIdleConnections)
				want := send(netHTTP, s.request(t.Context(), t, method, "/"))
				if name == "switched" { // unlike net/http, the pool refuses a tunnel that was not requested
					want = response{Failed: true}
				}
				if diff := cmp.Diff(want, send(s.pool(t), s.request(t.Context(), t, method, "/"))); diff != "" {
					t.Errorf("(-net/http +fastpath):\n%s", diff)
				}
			})
		}
	}
}

// TestRequestsMatchNetHTTP compares the requests that the pool and net/http send.
func TestRequestsMatchNetHTTP(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent []string
	s := newServer(t, nil)
	s.respond = func(conn net.Conn, r *http.Request) {
		var text strings.Builder
		fmt.Fprintln(&text, r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, r.TransferEncoding)
		_ = r.Header.WriteSubset(&text, nil)
		mu.Lock()
		sent = append(sent, text.String())
		mu.Unlock()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}
	netHTTP := &http.Transport{TLSClientConfig: s.config(), DisableCompression: true}
	t.Cleanup(netHTTP.CloseIdleConnections)
	pool := s.pool(t)
	for _, path := range []string{"/", "/api/v1/pods?limit=500&continue=a%2Fb", "/api//v1/%2e%2e/x", "/a?b;c", "/a?", "/ä"} {
		for _, header := range []http.Header{
			{}, {"User-Agent": nil}, {"User-Agent": {"kubectl"}}, {"Impersonate-Group": {"a", "b"}, "Impersonate-Extra-A%2fb": {"ü", ""}, "Accept": {"application/json;as=Table", "*/*"}},
		} {
			sent = nil
			for _, transport := range []http.RoundTripper{netHTTP, pool} {
				req := s.request(t.Context(), t, http.MethodGet, path)
				req.Header = header.Clone()
				if got := send(transport, req); got.Status != "204 No Content" {
					t.Fatalf("%+v", got)
				}
			}
			if diff := cmp.Diff(sent[0], sent[1]); diff != "" {
				t.Errorf("(-net/http +fastpath):\n%s", diff)
			}
		}
	}
	if opened := s.opened.Load(); opened != 2 {
		t.Errorf("%d connections", opened)
	}
}

// TestUnsupportedRequests checks that the pool refuses requests that it cannot send correctly.
func TestUnsupportedRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(conn net.Conn, _ *http.Request) { _, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n") })
	pool := s.pool(t)
	for name, change := range map[string]func(r *http.Request){
		"a method with side effects": func(r *http.Request) { r.Method = http.MethodDelete },
		"a body":                     func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"an upgrade":                 func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket"} },
		"a line break in a value":    func(r *http.Request) { r.Header["Impersonate-User"] = []string{"a\r\nImpersonate-Group: b"} },
		"a line break in a name":     func(r *http.Request) { r.Header["A: b\r\nC"] = []string{"d"} },
		"a zero byte":                func(r *http.Request) { r.Header["Impersonate-User"] = []string{"a\x00"} },
	} {
		req := s.request(t.Context(), t, http.MethodGet, "/")
		change(req)
		if got := send(pool, req); !got.Failed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if opened := s.opened.Load(); opened != 0 {
		t.Errorf("%d connections", opened)
	}
}

func TestSupports(t *testing.T) {
	t.Parallel()
	var supported []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		if fastpath.Supports(&http.Request{Method: method}) {
			supported = append(supported, method)
		}
	}
	if !slices.Equal(supported, []string{http.MethodGet, http.MethodHead}) {
		t.Error(supported)
	}
}
