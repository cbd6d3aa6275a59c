package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// dialer connects to the first host that answers, beginning with the one that
// answered last.
type dialer struct {
	hosts    []string
	security string
	tls      *tls.Config
	timeout  time.Duration
	logger   *slog.Logger
	last     atomic.Int64
}

// dial returns a protected connection that ends with ctx.
func (d *dialer) dial(ctx context.Context) (*goldap.Conn, error) {
	first := int(d.last.Load())
	var faults []error
	for i := range d.hosts {
		n := (first + i) % len(d.hosts)
		conn, err := d.connect(ctx, d.hosts[n])
		if err == nil {
			d.last.Store(int64(n))
			return conn, nil
		}
		d.logger.WarnContext(ctx, "directory does not answer", "host", d.hosts[n], "error", err)
		faults = append(faults, fmt.Errorf("%s: %w", d.hosts[n], err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(faults...)
}

func (d *dialer) connect(ctx context.Context, host string) (*goldap.Conn, error) {
	name, port := d.split(host)
	// The share of the time that is left for this host, so that a dead first
	// host leaves time for the second.
	timeout := d.timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)) //nolint:forbidigo // a context's deadline is real time
	}
	cfg := d.tls.Clone()
	cfg.ServerName = name
	raw, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", net.JoinHostPort(name, port))
	if err != nil {
		return nil, err
	}
	return d.protect(ctx, raw, cfg, timeout)
}

func (d *dialer) protect(ctx context.Context, raw net.Conn, cfg *tls.Config, timeout time.Duration) (*goldap.Conn, error) {
	if d.security == SecurityLDAPS {
		secured := tls.Client(raw, cfg)
		handshake, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := secured.HandshakeContext(handshake); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		raw = secured
	}
	conn := goldap.NewConn(raw, d.security == SecurityLDAPS)
	conn.Start()
	conn.SetTimeout(timeout)
	if d.security == SecurityStartTLS {
		if err := conn.StartTLS(cfg); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	// go-ldap knows no contexts: closing the connection ends what waits on it.
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}
