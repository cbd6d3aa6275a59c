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
	dialing chan struct{}

	mu sync.Mutex
	// idle has the one that was used last at its end, and is taken from there: so as few as
	// possible stay in use.
	idle    []*conn
	sweeper *time.Timer
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
	readSize  = 4 << 10
	writeSize = 8 << 10 // a request with its impersonation headers, in one TLS record
	unbounded = math.MaxInt64
	// maxDialing is how many connections are opened at a time. Each costs the API server a
	// signature, and somebody could ask for thousands and take back what they asked.
	maxDialing = 32
)

// New returns a pool without connections.
func New(cfg Config) *Pool { return &Pool{cfg: cfg, dialing: make(chan struct{}, maxDialing)} }

// conn is a connection with an answer at a time on it.
type conn struct {
	tls  *tls.Conn
	fd   syscall.RawConn
	in   *bufio.Reader
	out  *bufio.Writer
	left int64 // how many bytes may still be read

	// used means that there was an answer on it before, silent that nothing has come in answer
	// to this request yet.
	used, silent bool
	since        time.Time
}

// Read implements io.Reader, for in.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeader
	}
	n, err := c.tls.Read(p[:min(int64(len(p)), c.left)])
	if c.left != unbounded {
		c.left -= int64(n)
	}
	return n, err
}

// cut ends the connection at once; whoever reads or writes it hears of it.
func (c *conn) cut() { _ = c.tls.NetConn().Close() }

// take returns a connection that is still good, or a new one.
func (p *Pool) take(ctx context.Context) (*conn, error) {
	if c := p.kept(); c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errTimeout)
	defer cancel()
	if err := p.queue(ctx); err != nil {
		return nil, err
	}
	if c := p.kept(); c != nil { // somebody has finished meanwhile
		<-p.dialing
		return c, nil
	}
	return p.dial(ctx)
}

// fresh returns a new connection.
func (p *Pool) fresh(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, errTimeout)
	defer cancel()
	if err := p.queue(ctx); err != nil {
		return nil, err
	}
	return p.dial(ctx)
}

// queue waits for a place among those that open connections.
func (p *Pool) queue(ctx context.Context) error {
	select {
	case p.dialing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dial opens a connection, and then leaves the place among those that do. When who asked has
// given up, it is kept for the next.
func (p *Pool) dial(ctx context.Context) (*conn, error) {
	made := make(chan opened)
	go func() {
		c, err := p.open(context.WithoutCancel(ctx))
		select {
		case made <- opened{c, err}:
		case <-ctx.Done():
			if err == nil {
				p.put(c)
			}
		}
		<-p.dialing
	}()
	select {
	case it := <-made:
		return it.conn, it.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// opened is a new connection, or why there is none.
type opened struct {
	conn *conn
	err  error
}

func (p *Pool) open(ctx context.Context) (*conn, error) {
	secured, err := p.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{tls: secured}
	c.in, c.out = bufio.NewReaderSize(c, readSize), bufio.NewWriterSize(secured, writeSize)
	if raw, ok := secured.NetConn().(syscall.Conn); ok {
		c.fd, _ = raw.SyscallConn() // without it the connection is used once
	}
	return c, nil
}

// kept returns a connection of before that is still good, or nil.
func (p *Pool) kept() *conn {
	for {
		c := p.pop()
		if c == nil || c.quiet() {
			return c
		}
		c.cut()
	}
}

func (p *Pool) pop() *conn {
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
func longAgo() time.Time { return time.Unix(1, 0) }

// quiet reports whether nobody has said anything on an idle connection: neither that it ends,
// nor an answer that nobody asked for, which the next person would get for theirs. It looks
// at what was read ahead, at what TLS holds, and at what the kernel does.
func (c *conn) quiet() bool {
	_ = c.tls.SetReadDeadline(longAgo())
	c.left = unbounded
	_, err := c.in.Peek(1)
	_ = c.tls.SetReadDeadline(time.Time{})
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() { //nolint:errorlint // the deadline's own, or another
		return false
	}
	return nothingCame(c.fd)
}

// put keeps a connection for the next request, unless there are enough of them.
func (p *Pool) put(c *conn) {
	if c.fd == nil || !p.keep(c) {
		c.cut()
	}
}

func (p *Pool) keep(c *conn) bool {
	c.since = p.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.cfg.MaxIdle {
		return false
	}
	p.idle = append(p.idle, c)
	p.watch()
	return true
}

// watch has idle connections swept, while there are any: one timer for all, because to set
// one at each request would wake a processor that sleeps. It is called with the lock held.
func (p *Pool) watch() {
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(p.cfg.IdleTimeout, p.sweep)
	}
}

func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	before := p.cfg.Now().Add(-p.cfg.IdleTimeout)
	fresh := slices.IndexFunc(p.idle, func(c *conn) bool { return c.since.After(before) })
	if fresh < 0 {
		fresh = len(p.idle)
	}
	for _, c := range p.idle[:fresh] {
		c.cut()
	}
	p.idle = slices.Delete(p.idle, 0, fresh)
	if len(p.idle) > 0 {
		p.watch()
	}
}

// CloseIdleConnections closes those that nobody uses.
func (p *Pool) CloseIdleConnections() {
	for c := p.pop(); c != nil; c = p.pop() {
		c.cut()
	}
}
