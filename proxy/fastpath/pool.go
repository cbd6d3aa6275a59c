package fastpath

import (
	"bufio"
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Pool is a pool of connections to one API server. It is safe for concurrent use.
type Pool struct {
	cfg Config
	// dialSlots limits how many connections are being opened at the same time.
	dialSlots chan struct{}

	mu sync.Mutex
	// idle is a stack: the connection that was used last is reused first, so that few stay open.
	idle       []*conn
	sweepTimer *time.Timer
}

var _ http.RoundTripper = (*Pool)(nil)

// Config says how a Pool opens connections and how long it keeps them.
type Config struct {
	// Dial opens a TLS connection to the API server.
	Dial func(ctx context.Context) (*tls.Conn, error)
	// Now returns the current time.
	Now func() time.Time
	// DialTimeout bounds how long a request waits for a new connection, including the wait for a
	// dial slot.
	DialTimeout time.Duration
	// MaxIdle is the number of idle connections to keep, IdleTimeout the time to keep them.
	MaxIdle     int
	IdleTimeout time.Duration
}

const (
	readBufferSize  = 4 << 10
	writeBufferSize = 8 << 10 // holds a request with its impersonation headers in one TLS record
	unbounded       = math.MaxInt64
	// maxConcurrentDials bounds the TLS handshakes in progress. Each costs the API server a
	// signature, and a client can send and cancel thousands of requests.
	maxConcurrentDials = 32
)

// New returns an empty pool.
func New(cfg Config) *Pool {
	return &Pool{cfg: cfg, dialSlots: make(chan struct{}, maxConcurrentDials)}
}

// conn is a connection that carries one request at a time.
type conn struct {
	tls       *tls.Conn
	fd        syscall.RawConn
	in        *bufio.Reader
	out       *bufio.Writer
	readLimit int64 // bytes that may still be read

	// reused is set if an earlier response was read from the connection, noResponseYet until the
	// first byte of the current response.
	reused, noResponseYet bool
	idleSince             time.Time
}

// Read implements io.Reader for the buffered reader in. It enforces readLimit.
func (c *conn) Read(p []byte) (int, error) {
	if c.readLimit <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := c.tls.Read(p[:min(int64(len(p)), c.readLimit)])
	if c.readLimit != unbounded {
		c.readLimit -= int64(n)
	}
	return n, err
}

// close closes the connection at once. Pending reads and writes fail.
func (c *conn) close() { _ = c.tls.NetConn().Close() }

// get returns an idle connection that is still usable, or a new one.
func (p *Pool) get(ctx context.Context) (*conn, error) {
	if c := p.popHealthy(); c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	if err := p.acquireDialSlot(ctx); err != nil {
		return nil, err
	}
	if c := p.popHealthy(); c != nil { // another request has finished in the meantime
		<-p.dialSlots
		return c, nil
	}
	return p.dial(ctx)
}

// getNew returns a new connection.
func (p *Pool) getNew(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	if err := p.acquireDialSlot(ctx); err != nil {
		return nil, err
	}
	return p.dial(ctx)
}

// acquireDialSlot waits for a dial slot.
func (p *Pool) acquireDialSlot(ctx context.Context) error {
	select {
	case p.dialSlots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dial opens a connection and frees the dial slot afterwards. If ctx ends first, the new
// connection goes to the pool.
func (p *Pool) dial(ctx context.Context) (*conn, error) {
	made := make(chan dialResult)
	go func() {
		c, err := p.open(context.WithoutCancel(ctx))
		select {
		case made <- dialResult{c, err}:
		case <-ctx.Done():
			if err == nil {
				p.put(c)
			}
		}
		<-p.dialSlots
	}()
	select {
	case it := <-made:
		return it.conn, it.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// dialResult is a new connection or the error of dialling it.
type dialResult struct {
	conn *conn
	err  error
}

func (p *Pool) open(ctx context.Context) (*conn, error) {
	secured, err := p.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{tls: secured}
	c.in, c.out = bufio.NewReaderSize(c, readBufferSize), bufio.NewWriterSize(secured, writeBufferSize)
	if raw, ok := secured.NetConn().(syscall.Conn); ok {
		c.fd, _ = raw.SyscallConn() // without it, the connection is used only once
	}
	return c, nil
}

// popHealthy returns an idle connection that is still usable, or nil.
func (p *Pool) popHealthy() *conn {
	for {
		c := p.popIdle()
		if c == nil || c.hasNoPendingData() {
			return c
		}
		c.close()
	}
}

func (p *Pool) popIdle() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// pastDeadline returns a time in the past, which makes a read return only buffered data.
func pastDeadline() time.Time { return time.Unix(1, 0) }

// hasNoPendingData reports whether nothing has arrived on an idle connection: no close, and no
// unsolicited response, which the next caller would take for its own. It checks the read buffer,
// the TLS layer and the kernel's socket buffer.
func (c *conn) hasNoPendingData() bool {
	_ = c.tls.SetReadDeadline(pastDeadline())
	c.readLimit = unbounded
	_, err := c.in.Peek(1)
	_ = c.tls.SetReadDeadline(time.Time{})
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() { //nolint:errorlint // only the deadline's own error counts
		return false
	}
	return socketBufferEmpty(c.fd)
}

// put returns a connection to the pool, or closes it if the pool is full.
func (p *Pool) put(c *conn) {
	if c.fd == nil || !p.addIdle(c) {
		c.close()
	}
}

func (p *Pool) addIdle(c *conn) bool {
	c.idleSince = p.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.cfg.MaxIdle {
		return false
	}
	p.idle = append(p.idle, c)
	p.scheduleSweep()
	return true
}

// scheduleSweep starts the timer that closes idle connections. One timer serves the whole pool,
// because setting one for each request would wake a sleeping processor. The caller holds the lock.
func (p *Pool) scheduleSweep() {
	if p.sweepTimer == nil {
		p.sweepTimer = time.AfterFunc(p.cfg.IdleTimeout, p.sweep)
	}
}

func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweepTimer = nil
	before := p.cfg.Now().Add(-p.cfg.IdleTimeout)
	fresh := slices.IndexFunc(p.idle, func(c *conn) bool { return c.idleSince.After(before) })
	if fresh < 0 {
		fresh = len(p.idle)
	}
	for _, c := range p.idle[:fresh] {
		c.close()
	}
	p.idle = slices.Delete(p.idle, 0, fresh)
	if len(p.idle) > 0 {
		p.scheduleSweep()
	}
}

// CloseIdleConnections closes all idle connections.
func (p *Pool) CloseIdleConnections() {
	for c := p.popIdle(); c != nil; c = p.popIdle() {
		c.close()
	}
}
