// Package inline asks an API server over HTTP/1.1 on the goroutine of who asks. net/http hands
// each request to one goroutine that writes and each answer back from one that reads: for a
// small answer those hand-overs are the larger part of what a proxy costs (docs/adr/0012). What
// is read and written, the standard library reads and writes here, too; only the pool of
// connections is our own. It sends what can be sent again and has no body, and leaves the
// rest, upgrades above all, to net/http.
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

// maxHeader bounds the header of an answer, early ones (1xx) included, in bytes.
const maxHeaderBytes = 1 << 20

var (
	errUnsupported       = errors.New("only GET and HEAD without a body are sent inline")
	errDialTimeout       = errors.New("no connection to the API server in time")
	errUnexpectedUpgrade = errors.New("the API server switched protocols without being asked to")
	errHeaderTooLarge    = fmt.Errorf("the header of the answer is over %d bytes", maxHeaderBytes)
)

// Takes reports whether a request is one for a [Pool]: it can be sent again when a
// connection turns out to be gone (RFC 9110 section 9.2.2), and there is nothing to send
// while an answer already comes.
func Supports(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead) && req.Body == nil && req.Header["Upgrade"] == nil
}

// RoundTrip implements http.RoundTripper, for requests that [Takes] takes.
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
	// The API server hung up while the request was on its way.
	if c, err = p.getNew(req.Context()); err != nil {
		return nil, err
	}
	return p.roundTrip(c, req)
}

// valid refuses what would be written as something else than was meant (RFC 9110 section 5).
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

// ask sends a request over c and reads the answer's header. The connection is used again once
// the body has been read to its end, and closed whenever anything went otherwise.
func (p *Pool) roundTrip(c *conn, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	stop := context.AfterFunc(ctx, c.close)
	resp, err := c.exchange(req)
	if err != nil {
		stop()
		c.close()
		return nil, contextCause(ctx, err)
	}
	end := func(whole bool) {
		// What was cut at the same moment must not be handed to somebody else.
		if stop() && whole && !resp.Close {
			c.reused = true
			p.put(c)
			return
		}
		c.close()
	}
	if resp.Body == http.NoBody {
		end(true)
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, release: end}
	return resp, nil
}

// reason is why something broke: that the request was given up, if it was.
func contextCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// meanwhileKey is for what is done while the API server works.
type inFlightKey struct{}

// Meanwhile has do done once the request with this context has been sent, and before its answer
// is waited for: at the time that would be spent on waiting. It is done again with each try, and
// never when nothing could be sent.
func WithInFlightFunc(ctx context.Context, do func()) context.Context {
	return context.WithValue(ctx, inFlightKey{}, do)
}

// exchange writes the request and reads the header of the answer.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.noResponseYet, c.readLimit = true, maxHeaderBytes
	if err := req.Write(c.out); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	if do, ok := req.Context().Value(inFlightKey{}).(func()); ok {
		do()
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

// body gives its connection back when it has been read to the end.
type body struct {
	io.ReadCloser

	ctx     context.Context //nolint:containedctx // it is the request's, and ends with the body
	once    sync.Once
	release func(whole bool)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	whole := errors.Is(err, io.EOF)
	b.once.Do(func() { b.release(whole) })
	if whole {
		return n, io.EOF
	}
	return n, contextCause(b.ctx, err)
}

// Close implements io.Closer. What was not read is not waited for.
func (b *body) Close() error {
	b.once.Do(func() { b.release(false) })
	return nil
}
