package fastpath_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// server is a TLS server that calls respond for each request, which writes the raw response.
type server struct {
	address string
	opened  atomic.Int64
	respond func(conn net.Conn, r *http.Request)
}

func newServer(t *testing.T, respond func(conn net.Conn, r *http.Request)) *server {
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
	s := &server{address: ln.Addr().String(), respond: respond}
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
		s.respond(conn, r)
		if r.Close {
			return
		}
	}
}

// closeConn makes the server close the connection after its response.
func closeConn(conn net.Conn, r *http.Request) {
	_ = conn.Close()
	r.Close = true
}

func (s *server) config() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func (s *server) pool(t *testing.T) *fastpath.Pool {
	t.Helper()
	return s.newPool(t, fastpath.Config{
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

func (s *server) newPool(t *testing.T, cfg fastpath.Config) *fastpath.Pool {
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

// response is the outcome of a request.
type response struct {
	Status  string
	Header  http.Header
	Length  int64
	Chunked []string
	Body    string
	Trailer http.Header
	Failed  bool // before or while reading the response
}

func send(transport http.RoundTripper, req *http.Request) response {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return response{Failed: true}
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return response{resp.Status, resp.Header, resp.ContentLength, resp.TransferEncoding, string(text), resp.Trailer, err != nil}
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for range 500 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("timed out")
}
