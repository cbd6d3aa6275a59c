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

	"github.com/fairlead-auth/fairlead/proxy/impersonate"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// Forwarder forwards.
type Forwarder struct {
	target   *url.URL
	short    http.RoundTripper
	streams  http.RoundTripper
	buffers  sync.Pool
	upgrades upgrades
}

// bufferSize is what is copied at a time, in bytes.
const bufferSize = 32 << 10

// New returns a forwarder to target. Short carries ordinary requests and
// upgrades and must speak HTTP/1.1 only; streams carries watches.
func New(target *url.URL, short, streams http.RoundTripper) *Forwarder {
	return &Forwarder{target: target, short: short, streams: streams, buffers: sync.Pool{
		New: func() any { b := make([]byte, bufferSize); return &b },
	}}
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
// is allowed or refused by it.
func Classify(r *http.Request) Kind {
	if r.Header.Get("Upgrade") != "" && r.ProtoMajor == 1 {
		return Upgrade
	}
	if r.Method != http.MethodGet {
		return Short
	}
	q := r.URL.Query()
	if yes(q.Get("watch")) || yes(q.Get("follow")) || strings.Contains(r.URL.Path, "/watch/") {
		return Stream
	}
	return Short
}

func yes(s string) bool { return s == "1" || s == "true" || s == "True" }

// Result says how a request ended, for logs and metrics.
type Result struct {
	Code  int
	Bytes int64
	Err   error
}

// Forward sends r with the given headers and writes the answer. A refusal means
// that nothing was written yet. The request lasts as long as its context: when that ends
// with a *status.Error as its cause, a stream ends with its words.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, out http.Header, kind Kind) (Result, *status.Error) {
	if kind == Upgrade {
		return f.upgrade(w, r, out)
	}
	transport := f.short
	if kind == Stream {
		transport = f.streams
	}
	resp, refusal := f.send(transport, f.request(r.Context(), r, out))
	if refusal != nil {
		return Result{}, refusal
	}
	defer func() { _ = resp.Body.Close() }()
	return f.answer(r.Context(), w, resp), nil
}

// request builds the outbound request. Path and query are sent as they came:
// what a parser would repair is not ours to repair.
func (f *Forwarder) request(ctx context.Context, r *http.Request, out http.Header) *http.Request {
	u := *f.target
	u.Path = strings.TrimSuffix(f.target.Path, "/") + r.URL.Path
	if r.URL.RawPath != "" {
		u.RawPath = strings.TrimSuffix(f.target.EscapedPath(), "/") + r.URL.RawPath
	}
	u.RawQuery, u.ForceQuery = r.URL.RawQuery, r.URL.ForceQuery
	req := (&http.Request{
		Method: r.Method, URL: &u, Host: f.target.Host, Header: out,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: r.ContentLength,
	}).WithContext(ctx)
	if r.ContentLength != 0 {
		req.Body = r.Body
	}
	if _, given := out["User-Agent"]; !given {
		out["User-Agent"] = nil // or net/http would say its own
	}
	return req
}

func (f *Forwarder) send(transport http.RoundTripper, req *http.Request) (*http.Response, *status.Error) {
	resp, err := transport.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
		return nil, status.Unavailable("client_gone", "The request was cancelled.", err)
	}
	return nil, status.Unavailable("upstream_unreachable", "The cluster's API server can't be reached from the proxy. Try again; if it stays, tell the people who run the cluster.", err)
}

// answer copies the answer. When its length isn't known it is a stream, and
// each piece goes out at once.
func (f *Forwarder) answer(ctx context.Context, w http.ResponseWriter, resp *http.Response) Result {
	copyHeader(w.Header(), resp.Header)
	trailers := trailerNames(resp)
	if len(trailers) > 0 {
		w.Header().Set("Trailer", strings.Join(trailers, ", "))
	}
	w.WriteHeader(resp.StatusCode)
	result := Result{Code: resp.StatusCode}
	flush := func() error { return nil }
	if resp.ContentLength < 0 {
		controller := http.NewResponseController(w)
		flush = controller.Flush
		_ = flush() // the headers of a watch without events
	}
	buffer, ok := f.buffers.Get().(*[]byte)
	if !ok {
		return result // the pool holds nothing else
	}
	defer f.buffers.Put(buffer)
	tail := &tail{Writer: w}
	result.Bytes, result.Err = pump(tail, resp.Body, *buffer, flush)
	if why := ending(ctx); result.Err != nil && why != nil && resp.ContentLength < 0 {
		farewell(tail, resp.Header.Get("Content-Type"), why)
		_ = flush()
		return result
	}
	if result.Err != nil {
		// The client must not take a cut answer for a whole one.
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Trailer {
		w.Header()[http.TrailerPrefix+name] = values
	}
	return result
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
func protocol(r *http.Request) (string, *status.Error) {
	values := r.Header.Values("Upgrade")
	if len(values) == 1 {
		switch strings.ToLower(values[0]) {
		case "websocket":
			return "websocket", nil
		case "spdy/3.1":
			return "SPDY/3.1", nil
		}
	}
	return "", status.BadRequest("upgrade", "Only WebSocket and SPDY/3.1 upgrades are possible.")
}

func (f *Forwarder) upgrade(w http.ResponseWriter, r *http.Request, out http.Header) (Result, *status.Error) {
	name, refusal := protocol(r)
	if refusal != nil {
		return Result{}, refusal
	}
	impersonate.Upgrade(out, name)
	ctx, done := f.upgrades.begin(r.Context())
	defer done()
	resp, refusal := f.send(f.short, f.request(ctx, r, out))
	if refusal != nil {
		return Result{}, refusal
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		// An answer, not a tunnel (the class of CVE-2018-1002105).
		return f.answer(ctx, w, resp), nil
	}
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), name) {
		return Result{}, status.Unavailable("upgrade_mismatch", "The API server switched to another protocol than was asked for.", nil)
	}
	return f.tunnel(ctx, w, resp, upstream)
}
