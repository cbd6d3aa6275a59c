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

// Pool are connections to one API server. It is safe for concurrent use.
type Pool struct {
	cfg Config
	// dialing has a place for each connection that is being opened.
	dialSlots chan struct{}

	mu sync.Mutex
	// idle has the one that was used last at its end, and is taken from there: so as few as
	// possible stay in use.
	idle       []*conn
	sweepTimer *time.Timer
}

var _ http.RoundTripper = (*Pool)(nil)

// Config says how a Pool opens connections, and how long it keeps them.
type Config struct {
	// Dial opens a connection to the API server.
	Dial func(ctx context.Context) (*tls.Conn, error)
	// Now is the time.
	Now func() time.Time
	// DialTimeout is how long a request waits for a connection, its place among those that
	// open one included.
	DialTimeout time.Duration
	// MaxIdle is how many connections are kept, IdleTimeout how long.
	MaxIdle     int
	IdleTimeout time.Duration
}

const (
	readBufferSize  = 4 << 10
	writeBufferSize = 8 << 10 // a request with its impersonation headers, in one TLS record
	unbounded       = math.MaxInt64
	// maxDialing is how many connections are opened at a time. Each costs the API server a
	// signature, and somebody could ask for thousands and take back what they asked.
	maxConcurrentDials = 32
)

// New returns a pool without connections.
func New(cfg Config) *Pool {
	return &Pool{cfg: cfg, dialSlots: make(chan struct{}, maxConcurrentDials)}
}

// conn is a connection with an answer at a time on it.
type conn struct {
	tls       *tls.Conn
	fd        syscall.RawConn
	in        *bufio.Reader
	out       *bufio.Writer
	readLimit int64 // how many bytes may still be read

	// used means that there was an answer on it before, silent that nothing has come in answer
	// to this request yet.
	reused, noResponseYet bool
	idleSince             time.Time
}

// Read implements io.Reader, for in.
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

// cut ends the connection at once; whoever reads or writes it hears of it.
func (c *conn) close() { _ = c.tls.NetConn().Close() }

// take returns a connection that is still good, or a new one.
func (p *Pool) get(ctx context.Context) (*conn, error) {
	if c := p.popHealthy(); c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	if err := p.acquireDialSlot(ctx); err != nil {
		return nil, err
	}
	if c := p.popHealthy(); c != nil { // somebody has finished meanwhile
		<-p.dialSlots
		return c, nil
	}
	return p.dial(ctx)
}

// fresh returns a new connection.
func (p *Pool) getNew(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errDialTimeout)
	defer cancel()
	if err := p.acquireDialSlot(ctx); err != nil {
		return nil, err
	}
	return p.dial(ctx)
}

// queue waits for a place among those that open connections.
func (p *Pool) acquireDialSlot(ctx context.Context) error {
	select {
	case p.dialSlots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dial opens a connection, and then leaves the place among those that do. When who asked has
// given up, it is kept for the next.
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

// opened is a new connection, or why there is none.
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
		c.fd, _ = raw.SyscallConn() // without it the connection is used once
	}
	return c, nil
}

// kept returns a connection of before that is still good, or nil.
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

// longAgo is a deadline that has passed.
func pastDeadline() time.Time { return time.Unix(1, 0) }

// quiet reports whether nobody has said anything on an idle connection: neither that it ends,
// nor an answer that nobody asked for, which the next person would get for theirs. It looks
// at what was read ahead, at what TLS holds, and at what the kernel does.
func (c *conn) hasNoPendingData() bool {
	_ = c.tls.SetReadDeadline(pastDeadline())
	c.readLimit = unbounded
	_, err := c.in.Peek(1)
	_ = c.tls.SetReadDeadline(time.Time{})
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() { //nolint:errorlint // the deadline's own, or another
		return false
	}
	return socketBufferEmpty(c.fd)
}

// put keeps a connection for the next request, unless there are enough of them.
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

// watch has idle connections swept, while there are any: one timer for all, because to set
// one at each request would wake a processor that sleeps. It is called with the lock held.
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

// CloseIdleConnections closes those that nobody uses.
func (p *Pool) CloseIdleConnections() {
	for c := p.popIdle(); c != nil; c = p.popIdle() {
		c.close()
	}
}
