// Package forward sends requests to the API server and copies the responses back. It uses a pool of
// HTTP/1.1 connections for short requests, a few HTTP/2 connections for watches and followed logs,
// and copies upgraded connections (exec, attach, port-forward) byte by byte. The caller supplies the
// final headers: this package does not decide about identity.
package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
	"github.com/fairlead-auth/fairlead/proxy/impersonate"
	"github.com/fairlead-auth/fairlead/proxy/requestinfo"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// Forwarder forwards requests to one API server. It is safe for concurrent use.
type Forwarder struct {
	target  *url.URL
	cfg     *rest.Config
	pools   atomic.Pointer[transportPools]
	buffers sync.Pool
}

// bufferSize is the size of a copy buffer, in bytes.
const bufferSize = 32 << 10

func newForwarder(target *url.URL, pools *transportPools) *Forwarder {
	f := &Forwarder{target: target, buffers: sync.Pool{
		New: func() any { b := make([]byte, bufferSize); return &b },
	}}
	f.pools.Store(pools)
	return f
}

// Kind says over which kind of connection a request is sent.
type Kind string

// The kinds of request.
const (
	Short   Kind = "short"
	Stream  Kind = "stream"
	Upgrade Kind = "upgrade"
)

// Classify returns the kind of a request. The kind only selects a connection, and does not allow or
// deny anything. Only GET requests use HTTP/2, because the API server may close such a connection
// with unanswered requests on it (GOAWAY), and those have to be sent again.
func Classify(r *http.Request, info *requestinfo.Info) Kind {
	switch {
	case r.Header.Get("Upgrade") != "" && r.ProtoMajor == 1:
		return Upgrade
	case r.Method == http.MethodGet && info.IsLongRunning():
		return Stream
	}
	return Short
}

// Call describes one request to forward. Forward records in it how the request ended.
type Call struct {
	Kind Kind
	// Header is the complete header of the outgoing request.
	Header http.Header
	// WithoutProxyCredential sends the request without the proxy's own credential.
	WithoutProxyCredential bool
	// Proxied says that the API server passes on the response of a service, a pod or a node. Such
	// a response may ask for credentials of its own.
	Proxied bool
	// NewInspector, when set, is called after the API server has switched protocols. Its inspector
	// sees all data of the tunnel. A refusal ends the request.
	NewInspector func(protocol, subprotocol string) (Inspector, *status.Error)
	// RecordRequest, when set, writes the audit event of the request. It is called once: before the
	// request is sent or, for a request without side effects, before any of the response is passed
	// on.
	RecordRequest func()
	// ModifyResponse, when set, may change a response before it is passed on.
	ModifyResponse func(resp *http.Response)
	// OnResponse, when set, is called with the HTTP status before any of the response is written.
	OnResponse func(code int)
	// Result says how the request ended. It is set even if the handler panics to abort.
	Result Result

	recorded bool
}

// usesFastpath reports whether the request goes through package fastpath.
func (j *Call) usesFastpath(req *http.Request) bool { return j.Kind == Short && fastpath.Supports(req) }

func (j *Call) record() {
	if j.RecordRequest != nil && !j.recorded {
		j.recorded = true
		j.RecordRequest()
	}
}

// Inspector sees the data of a tunnel before it is passed on. A refusal ends the tunnel with its
// message. FromClient and FromServer are each called from their own goroutine.
type Inspector interface {
	FromClient(p []byte) *status.Error
	FromServer(p []byte) *status.Error
}

// Result says how a request ended. BytesIn counts the bytes of a tunnel from the client, BytesOut the
// bytes sent to the client.
type Result struct {
	Code              int
	BytesIn, BytesOut int64
	Err               error
}

// Forward sends r as call says and writes the response to w. A refusal means that nothing was written
// yet. If the request's context is cancelled with a *status.Error as its cause, the stream ends with
// that message.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, call *Call) *status.Error {
	if call.Kind == Upgrade {
		return f.upgrade(w, r, call)
	}
	resp, refusal := f.send(f.request(r.Context(), r, call), call)
	if refusal != nil {
		return refusal
	}
	defer func() { _ = resp.Body.Close() }()
	f.answer(r.Context(), w, resp, call)
	return nil
}

// responseStarted records that a response is about to be written.
func (j *Call) responseStarted(code int) {
	j.Result.Code = code
	if j.OnResponse != nil {
		j.OnResponse(code)
	}
}

// request builds the outgoing request. It keeps path and query exactly as they came, because a
// corrected form could mean something else.
func (f *Forwarder) request(ctx context.Context, r *http.Request, call *Call) *http.Request {
	u := *f.target
	u.Path = strings.TrimSuffix(f.target.Path, "/") + r.URL.Path
	if r.URL.RawPath != "" {
		u.RawPath = strings.TrimSuffix(f.target.EscapedPath(), "/") + r.URL.RawPath
	}
	u.RawQuery, u.ForceQuery = r.URL.RawQuery, r.URL.ForceQuery
	req := &http.Request{
		Method: r.Method, URL: &u, Host: f.target.Host, Header: call.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: r.ContentLength,
	}
	if r.ContentLength != 0 {
		req.Body = r.Body
	}
	if _, given := call.Header["User-Agent"]; !given {
		call.Header["User-Agent"] = nil // prevents net/http from adding its own
	}
	if call.usesFastpath(req) {
		ctx = fastpath.WithInFlightFunc(ctx, call.record)
	}
	return req.WithContext(ctx)
}

func (f *Forwarder) send(req *http.Request, call *Call) (*http.Response, *status.Error) {
	if !call.usesFastpath(req) {
		call.record()
	}
	resp, err := f.pools.Load().transportFor(call, req).RoundTrip(req)
	call.record() // in case the request could not be sent at all
	if err == nil {
		return checkCredentialAccepted(resp, call)
	}
	if reason := terminationReason(req.Context()); reason != nil {
		return nil, reason
	}
	if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
		return nil, status.RequestCancelled(err)
	}
	return nil, status.APIServerUnreachable(err)
}

// checkCredentialAccepted replaces a 401 of the API server, which means that the API server rejects
// the proxy's credential. kubectl would ask its user to sign in again, without end.
func checkCredentialAccepted(resp *http.Response, call *Call) (*http.Response, *status.Error) {
	if resp.StatusCode != http.StatusUnauthorized || call.WithoutProxyCredential || call.Proxied {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, status.ProxyCredentialRejected()
}

// answer copies the response to the client. A response of unknown length is a stream, and every piece
// is flushed at once.
func (f *Forwarder) answer(ctx context.Context, w http.ResponseWriter, resp *http.Response, call *Call) {
	if call.ModifyResponse != nil {
		call.ModifyResponse(resp)
	}
	copyHeader(w.Header(), resp.Header)
	trailers := trailerNames(resp)
	if len(trailers) > 0 {
		w.Header().Set("Trailer", strings.Join(trailers, ", "))
	}
	call.responseStarted(resp.StatusCode)
	w.WriteHeader(resp.StatusCode)
	result := &call.Result
	flush := func() error { return nil }
	if resp.ContentLength < 0 {
		controller := http.NewResponseController(w)
		flush = controller.Flush
		_ = flush() // sends the header of a watch that has no events yet
	}
	buffer, ok := f.buffers.Get().(*[]byte)
	if !ok {
		return // cannot happen: the pool holds only buffers
	}
	defer f.buffers.Put(buffer)
	tail := &lastByteWriter{Writer: w}
	result.BytesOut, result.Err = pump(tail, resp.Body, *buffer, flush)
	if reason := terminationReason(ctx); result.Err != nil && reason != nil && resp.ContentLength < 0 {
		writeFinalStatus(tail, resp.Header.Get("Content-Type"), reason)
		_ = flush()
		return
	}
	if result.Err != nil {
		// Aborts the response, so that the client does not take it for a complete one.
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Trailer {
		w.Header()[http.TrailerPrefix+name] = values
	}
}

func trailerNames(resp *http.Response) []string {
	var names []string
	for name := range resp.Trailer {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func pump(dst io.Writer, src io.Reader, buffer []byte, flush func() error) (int64, error) {
	var total int64
	for {
		n, err := src.Read(buffer)
		if n > 0 {
			written, errWrite := dst.Write(buffer[:n])
			total += int64(written)
			if errWrite != nil {
				return total, errWrite
			}
			if errFlush := flush(); errFlush != nil {
				return total, errFlush
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// copyHeader copies the header without the fields that belong to the connection to the API server.
func copyHeader(dst, src http.Header) {
	for name, values := range src {
		switch name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Trailer", "Te":
			continue
		}
		dst[name] = values
	}
}

// upgradeProtocol returns the protocol of an upgrade request. It refuses protocols that Kubernetes
// does not use, because the proxy cannot inspect them.
func upgradeProtocol(r *http.Request) (string, *status.Error) {
	values := r.Header.Values("Upgrade")
	if len(values) == 1 {
		switch strings.ToLower(values[0]) {
		case "websocket":
			return "websocket", nil
		case "spdy/3.1":
			return "SPDY/3.1", nil
		}
	}
	return "", status.UnsupportedUpgrade()
}

func (f *Forwarder) upgrade(w http.ResponseWriter, r *http.Request, call *Call) *status.Error {
	name, refusal := upgradeProtocol(r)
	if refusal != nil {
		return refusal
	}
	impersonate.SetUpgrade(call.Header, name)
	ctx := r.Context()
	resp, refusal := f.send(f.request(ctx, r, call), call)
	if refusal != nil {
		return refusal
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		// The API server did not switch protocols, so this is a response and not a tunnel (the
		// class of CVE-2018-1002105).
		f.answer(ctx, w, resp, call)
		return nil
	}
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), name) {
		return status.UpgradeMismatch()
	}
	t := &tunnel{ReadWriteCloser: upstream, call: call}
	if call.NewInspector != nil {
		if t.inspector, refusal = call.NewInspector(name, resp.Header.Get("Sec-Websocket-Protocol")); refusal != nil {
			return refusal
		}
	}
	return f.tunnel(ctx, w, resp, t)
}
