// Package fastpath is an http.RoundTripper that sends GET and HEAD requests without a body over
// pooled HTTP/1.1 connections, on the caller's goroutine. net/http uses two goroutines per
// connection instead. For a small response, switching between them is the largest part of a
// proxy's latency (docs/adr/0012).
//
// Requests are written and responses are parsed by net/http; only the connection pool is new.
// Requests with a body, other methods and upgrades are left to http.Transport.
package fastpath

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"golang.org/x/net/http/httpguts"
)

// maxHeaderBytes bounds the header of a response, including 1xx responses before it.
const maxHeaderBytes = 1 << 20

var (
	errUnsupported       = errors.New("the fast path supports only GET and HEAD without a body")
	errDialTimeout       = errors.New("connecting to the API server timed out")
	errUnexpectedUpgrade = errors.New("the API server switched protocols without a request to do so")
	errHeaderTooLarge    = fmt.Errorf("the response header is larger than %d bytes", maxHeaderBytes)
)

// Supports reports whether a [Pool] can send the request. Such a request can be sent again if the
// connection turns out to be closed (RFC 9110 section 9.2.2), and it has no body that is still
// being sent while the response arrives.
func Supports(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead) && req.Body == nil && req.Header["Upgrade"] == nil
}

// RoundTrip implements http.RoundTripper. It fails for requests that the pool does not [Supports].
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	if !Supports(req) {
		return nil, errUnsupported
	}
	if err := checkHeader(req.Header); err != nil {
		return nil, err
	}
	if req.Context().Err() != nil {
		return nil, context.Cause(req.Context())
	}
	c, err := p.get(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := p.roundTrip(c, req)
	if err == nil || !c.reused || !c.noResponseYet || req.Context().Err() != nil {
		return resp, err
	}
	// The API server closed the reused connection before it answered. Retry on a new one.
	if c, err = p.getNew(req.Context()); err != nil {
		return nil, err
	}
	return p.roundTrip(c, req)
}

// checkHeader refuses names and values that would not arrive as one header field (RFC 9110
// section 5).
func checkHeader(header http.Header) error {
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("invalid header name %q", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("invalid value of header %s", name)
			}
		}
	}
	return nil
}

// roundTrip sends the request over c and reads the response header. The connection returns to the
// pool when the body has been read to its end. After any error it is closed.
func (p *Pool) roundTrip(c *conn, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	stop := context.AfterFunc(ctx, c.close)
	resp, err := c.exchange(req)
	if err != nil {
		stop()
		c.close()
		return nil, contextCause(ctx, err)
	}
	release := func(complete bool) {
		// If the context ended at the same moment, its callback has closed the connection.
		if stop() && complete && !resp.Close {
			c.reused = true
			p.put(c)
			return
		}
		c.close()
	}
	if resp.Body == http.NoBody {
		release(true)
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, release: release}
	return resp, nil
}

// contextCause returns the cause of ctx if ctx has ended, and err otherwise.
func contextCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// inFlightKey is the context key of WithInFlightFunc.
type inFlightKey struct{}

// WithInFlightFunc returns a context whose requests call f after they have been sent and before
// their response is read, while the API server works on it. A retry calls f again. A request that
// could not be sent does not call it.
func WithInFlightFunc(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, inFlightKey{}, f)
}

// exchange writes the request and reads the response header.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.noResponseYet, c.readLimit = true, maxHeaderBytes
	if err := req.Write(c.out); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	if f, ok := req.Context().Value(inFlightKey{}).(func()); ok {
		f()
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	c.noResponseYet = false
	for {
		resp, err := http.ReadResponse(c.in, req)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errUnexpectedUpgrade
		case resp.StatusCode >= http.StatusOK:
			c.readLimit = unbounded
			return resp, nil
		}
	}
}

// body is a response body that releases its connection when it has been read to the end.
type body struct {
	io.ReadCloser

	ctx     context.Context //nolint:containedctx // it is the request's, and ends with the body
	once    sync.Once
	release func(complete bool)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	complete := errors.Is(err, io.EOF)
	b.once.Do(func() { b.release(complete) })
	if complete {
		return n, io.EOF
	}
	return n, contextCause(b.ctx, err)
}

// Close implements io.Closer. If the body was not read to its end, it closes the connection.
func (b *body) Close() error {
	b.once.Do(func() { b.release(false) })
	return nil
}
