// Package forward carries a request, with headers that are already decided, to
// the API server and the answer back: short requests over a pool of HTTP/1.1
// connections, watches and followed logs over a few HTTP/2 ones, and upgrades
// (exec, attach, port-forward) byte by byte. It decides nothing about identity.
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

// Forwarder forwards.
type Forwarder struct {
	target  *url.URL
	cfg     *rest.Config
	pools   atomic.Pointer[transportPools]
	buffers sync.Pool
}

// bufferSize is what is copied at a time, in bytes.
const bufferSize = 32 << 10

func newForwarder(target *url.URL, ways *transportPools) *Forwarder {
	f := &Forwarder{target: target, buffers: sync.Pool{
		New: func() any { b := make([]byte, bufferSize); return &b },
	}}
	f.pools.Store(ways)
	return f
}

// Kind is how a request is carried.
type Kind string

// The kinds.
const (
	Short   Kind = "short"
	Stream  Kind = "stream"
	Upgrade Kind = "upgrade"
)

// Classify says how a request is carried. It only chooses a connection; nothing
// is allowed or refused by it. Only what can be sent again goes over HTTP/2, where the API
// server may end a connection with requests on their way (GOAWAY).
func Classify(r *http.Request, info *requestinfo.Info) Kind {
	switch {
	case r.Header.Get("Upgrade") != "" && r.ProtoMajor == 1:
		return Upgrade
	case r.Method == http.MethodGet && info.IsLongRunning():
		return Stream
	}
	return Short
}

// Job is how to carry one request, and how that went.
type Call struct {
	Kind Kind
	// Header is what is sent.
	Header http.Header
	// Bare sends it without the proxy's own credential.
	WithoutProxyCredential bool
	// Beyond says that the answer is not the API server's own, but of a service or a node that
	// it asks: that one may want credentials of its own.
	Proxied bool
	// Watch, when set, is called when a connection is switched to a protocol, with that and
	// what is spoken in it: what it returns sees all that passes. A refusal ends it.
	NewInspector func(protocol, subprotocol string) (Inspector, *status.Error)
	// Account, when set, writes down that the request is sent: before that is done, or, for one
	// that changes nothing, before anything of the answer is passed on. It is called once.
	RecordRequest func()
	// Amend, when set, may change an answer before it is passed on.
	ModifyResponse func(resp *http.Response)
	// Started is called with the status of the answer, before any of it is written.
	OnResponse func(code int)
	// Result says how it ended, even when the handler is aborted.
	Result Result

	recorded bool
}

// asks reports whether the request changes nothing and is soon answered.
func (j *Call) usesFastpath(req *http.Request) bool { return j.Kind == Short && fastpath.Supports(req) }

func (j *Call) record() {
	if j.RecordRequest != nil && !j.recorded {
		j.recorded = true
		j.RecordRequest()
	}
}

// Witness sees what passes through a tunnel, before it is passed on. A refusal ends the
// tunnel with its words. Up and Down are called from a goroutine each.
type Inspector interface {
	FromClient(p []byte) *status.Error
	FromServer(p []byte) *status.Error
}

// Result says how a request ended, for logs and metrics. In are bytes of a tunnel from the
// client, Out bytes to it.
type Result struct {
	Code              int
	BytesIn, BytesOut int64
	Err               error
}

// Forward sends r as job says and writes the answer. A refusal means that nothing was
// written yet. The request lasts as long as its context: when that ends with a
// *status.Error as its cause, a stream ends with its words.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, job *Call) *status.Error {
	if job.Kind == Upgrade {
		return f.upgrade(w, r, job)
	}
	resp, refusal := f.send(f.request(r.Context(), r, job), job)
	if refusal != nil {
		return refusal
	}
	defer func() { _ = resp.Body.Close() }()
	f.answer(r.Context(), w, resp, job)
	return nil
}

// begin notes that an answer is about to be written.
func (j *Call) responseStarted(code int) {
	j.Result.Code = code
	if j.OnResponse != nil {
		j.OnResponse(code)
	}
}

// request builds the outbound request. Path and query are sent as they came:
// what a parser would repair is not ours to repair.
func (f *Forwarder) request(ctx context.Context, r *http.Request, job *Call) *http.Request {
	u := *f.target
	u.Path = strings.TrimSuffix(f.target.Path, "/") + r.URL.Path
	if r.URL.RawPath != "" {
		u.RawPath = strings.TrimSuffix(f.target.EscapedPath(), "/") + r.URL.RawPath
	}
	u.RawQuery, u.ForceQuery = r.URL.RawQuery, r.URL.ForceQuery
	req := &http.Request{
		Method: r.Method, URL: &u, Host: f.target.Host, Header: job.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: r.ContentLength,
	}
	if r.ContentLength != 0 {
		req.Body = r.Body
	}
	if _, given := job.Header["User-Agent"]; !given {
		job.Header["User-Agent"] = nil // or net/http would say its own
	}
	if job.usesFastpath(req) {
		ctx = fastpath.WithInFlightFunc(ctx, job.record)
	}
	return req.WithContext(ctx)
}

func (f *Forwarder) send(req *http.Request, job *Call) (*http.Response, *status.Error) {
	if !job.usesFastpath(req) {
		job.record()
	}
	resp, err := f.pools.Load().transportFor(job, req).RoundTrip(req)
	job.record() // when it could not even be sent
	if err == nil {
		return checkCredentialAccepted(resp, job)
	}
	if why := terminationReason(req.Context()); why != nil {
		return nil, why
	}
	if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
		return nil, status.RequestCancelled(err)
	}
	return nil, status.APIServerUnreachable(err)
}

// accepted refuses an answer that says that the credential was not good: it was the proxy's,
// and the person would be sent to sign in again, for ever.
func checkCredentialAccepted(resp *http.Response, job *Call) (*http.Response, *status.Error) {
	if resp.StatusCode != http.StatusUnauthorized || job.WithoutProxyCredential || job.Proxied {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, status.ProxyCredentialRejected()
}

// answer copies the answer. When its length isn't known it is a stream, and
// each piece goes out at once.
func (f *Forwarder) answer(ctx context.Context, w http.ResponseWriter, resp *http.Response, job *Call) {
	if job.ModifyResponse != nil {
		job.ModifyResponse(resp)
	}
	copyHeader(w.Header(), resp.Header)
	trailers := trailerNames(resp)
	if len(trailers) > 0 {
		w.Header().Set("Trailer", strings.Join(trailers, ", "))
	}
	job.responseStarted(resp.StatusCode)
	w.WriteHeader(resp.StatusCode)
	result := &job.Result
	flush := func() error { return nil }
	if resp.ContentLength < 0 {
		controller := http.NewResponseController(w)
		flush = controller.Flush
		_ = flush() // the headers of a watch without events
	}
	buffer, ok := f.buffers.Get().(*[]byte)
	if !ok {
		return // the pool holds nothing else
	}
	defer f.buffers.Put(buffer)
	tail := &lastByteWriter{Writer: w}
	result.BytesOut, result.Err = pump(tail, resp.Body, *buffer, flush)
	if why := terminationReason(ctx); result.Err != nil && why != nil && resp.ContentLength < 0 {
		writeFinalStatus(tail, resp.Header.Get("Content-Type"), why)
		_ = flush()
		return
	}
	if result.Err != nil {
		// The client must not take a cut answer for a whole one.
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

// copyHeader leaves out what belongs to the hop to the API server.
func copyHeader(dst, src http.Header) {
	for name, values := range src {
		switch name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Trailer", "Te":
			continue
		}
		dst[name] = values
	}
}

// protocol returns the protocol of an upgrade, if it is one that Kubernetes
// speaks. Anything else would be a tunnel that nobody looks into.
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

func (f *Forwarder) upgrade(w http.ResponseWriter, r *http.Request, job *Call) *status.Error {
	name, refusal := upgradeProtocol(r)
	if refusal != nil {
		return refusal
	}
	impersonate.SetUpgrade(job.Header, name)
	ctx := r.Context()
	resp, refusal := f.send(f.request(ctx, r, job), job)
	if refusal != nil {
		return refusal
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		// An answer, not a tunnel (the class of CVE-2018-1002105).
		f.answer(ctx, w, resp, job)
		return nil
	}
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), name) {
		return status.UpgradeMismatch()
	}
	t := &tunnel{ReadWriteCloser: upstream, job: job}
	if job.NewInspector != nil {
		if t.inspector, refusal = job.NewInspector(name, resp.Header.Get("Sec-Websocket-Protocol")); refusal != nil {
			return refusal
		}
	}
	return f.tunnel(ctx, w, resp, t)
}
