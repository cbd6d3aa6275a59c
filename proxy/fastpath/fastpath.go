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
const maxHeader = 1 << 20

var (
	errNotForUs = errors.New("only GET and HEAD without a body are sent inline")
	errTimeout  = errors.New("no connection to the API server in time")
	errSwitched = errors.New("the API server switched protocols without being asked to")
	errHeader   = fmt.Errorf("the header of the answer is over %d bytes", maxHeader)
)

// Takes reports whether a request is one for a [Pool]: it can be sent again when a
// connection turns out to be gone (RFC 9110 section 9.2.2), and there is nothing to send
// while an answer already comes.
func Takes(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead) && req.Body == nil && req.Header["Upgrade"] == nil
}

// RoundTrip implements http.RoundTripper, for requests that [Takes] takes.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	if !Takes(req) {
		return nil, errNotForUs
	}
	if err := valid(req.Header); err != nil {
		return nil, err
	}
	if req.Context().Err() != nil {
		return nil, context.Cause(req.Context())
	}
	c, err := p.take(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := p.ask(c, req)
	if err == nil || !c.used || !c.silent || req.Context().Err() != nil {
		return resp, err
	}
	// The API server hung up while the request was on its way.
	if c, err = p.fresh(req.Context()); err != nil {
		return nil, err
	}
	return p.ask(c, req)
}

// valid refuses what would be written as something else than was meant (RFC 9110 section 5).
func valid(header http.Header) error {
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
func (p *Pool) ask(c *conn, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	stop := context.AfterFunc(ctx, c.cut)
	resp, err := c.exchange(req)
	if err != nil {
		stop()
		c.cut()
		return nil, reason(ctx, err)
	}
	end := func(whole bool) {
		// What was cut at the same moment must not be handed to somebody else.
		if stop() && whole && !resp.Close {
			c.used = true
			p.put(c)
			return
		}
		c.cut()
	}
	if resp.Body == http.NoBody {
		end(true)
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, end: end}
	return resp, nil
}

// reason is why something broke: that the request was given up, if it was.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// meanwhileKey is for what is done while the API server works.
type meanwhileKey struct{}

// Meanwhile has do done once the request with this context has been sent, and before its answer
// is waited for: at the time that would be spent on waiting. It is done again with each try, and
// never when nothing could be sent.
func Meanwhile(ctx context.Context, do func()) context.Context {
	return context.WithValue(ctx, meanwhileKey{}, do)
}

// exchange writes the request and reads the header of the answer.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.silent, c.left = true, maxHeader
	if err := req.Write(c.out); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	if do, ok := req.Context().Value(meanwhileKey{}).(func()); ok {
		do()
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	c.silent = false
	for {
		resp, err := http.ReadResponse(c.in, req)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitched
		case resp.StatusCode >= http.StatusOK:
			c.left = unbounded
			return resp, nil
		}
	}
}

// body gives its connection back when it has been read to the end.
type body struct {
	io.ReadCloser

	ctx  context.Context //nolint:containedctx // it is the request's, and ends with the body
	once sync.Once
	end  func(whole bool)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	whole := errors.Is(err, io.EOF)
	b.once.Do(func() { b.end(whole) })
	if whole {
		return n, io.EOF
	}
	return n, reason(b.ctx, err)
}

// Close implements io.Closer. What was not read is not waited for.
func (b *body) Close() error {
	b.once.Do(func() { b.end(false) })
	return nil
}
