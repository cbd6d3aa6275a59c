package forward

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"golang.org/x/net/idna"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/fairlead-auth/fairlead/proxy/fastpath"
)

const (
	// poolSize is how many idle connections to the API server are kept; a new
	// one costs it a signature.
	poolSize = 256
	// idleTimeout is below the API server's own 90 seconds, so that a request is
	// never sent on a connection that is just being closed.
	idleTimeout  = 60 * time.Second
	dialTimeout  = 10 * time.Second
	keepAlive    = 30 * time.Second
	pingAfter    = 20 * time.Second
	pingTimeout  = 10 * time.Second
	streamWindow = 512 << 10
	// deadAfter is as long as HTTP/2 takes to notice, with its pings.
	deadConnTimeout = pingAfter + pingTimeout
)

// FromConfig makes a forwarder with the credentials of a client-go
// configuration. Files of certificates and tokens are read again when they
// change.
func New(cfg *rest.Config) (*Forwarder, error) {
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading API server address: %w", err)
	}
	if target.Scheme != "https" {
		return nil, fmt.Errorf("the API server's address must be https, got %s", target.Redacted())
	}
	ways, err := newPools(cfg)
	if err != nil {
		return nil, err
	}
	f := newForwarder(&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}, ways)
	f.cfg = cfg
	return f, nil
}

func newPools(cfg *rest.Config) (*transportPools, error) {
	own, err := newTransportSet(cfg)
	if err != nil {
		return nil, err
	}
	// Without a client certificate: with one, an API server takes a request for the proxy's
	// own, whatever token it has.
	bare, err := newTransportSet(rest.AnonymousClientConfig(cfg))
	if err != nil {
		return nil, err
	}
	return &transportPools{credentialed: own, anonymous: bare}, nil
}

// pools are the ways to the API server: with the proxy's credential, and without any.
type transportPools struct{ credentialed, anonymous transportSet }

// pair are the ways with one credential: for what only asks, for other short requests and
// upgrades, and for streams.
type transportSet struct {
	fastpath, short, streams http.RoundTripper
	closers                  []idleCloser
}

// idler keeps connections that nobody uses.
type idleCloser interface{ CloseIdleConnections() }

// of is the way for a request.
func (p *transportPools) transportFor(job *Call, req *http.Request) http.RoundTripper {
	ways := &p.credentialed
	if job.WithoutProxyCredential {
		ways = &p.anonymous
	}
	switch {
	case job.Kind == Stream:
		return ways.streams
	case job.usesFastpath(req):
		return ways.fastpath
	}
	return ways.short
}

func newTransportSet(cfg *rest.Config) (p transportSet, err error) {
	settings, err := cfg.TransportConfig()
	if err != nil {
		return p, fmt.Errorf("reading credentials: %w", err)
	}
	tlsConfig, err := transport.TLSConfigFor(settings)
	if err != nil {
		return p, fmt.Errorf("reading certificates: %w", err)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if tlsConfig.ClientSessionCache == nil {
		tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(poolSize)
	}
	add := func(way *http.RoundTripper, base interface {
		http.RoundTripper
		idleCloser
	},
	) {
		if err == nil {
			p.closers = append(p.closers, base)
			*way, err = withCredential(cfg, base)
		}
	}
	at, err := address(cfg)
	if err != nil {
		return p, err
	}
	add(&p.fastpath, newFastpathPool(at, tlsConfig))
	add(&p.short, newTransport(tlsConfig, false))
	add(&p.streams, newTransport(tlsConfig, true))
	if err != nil {
		return p, fmt.Errorf("using credentials: %w", err)
	}
	return p, nil
}

// lookEvery is how often it is looked whether the authority's file has changed.
const caCheckInterval = 15 * time.Second

// Run takes up a new authority of the API server when its file changes, until ctx ends.
// Connections that are open stay; new ones, and their TLS sessions, know the new one only
// (CVE-2025-68121).
func (f *Forwarder) Run(ctx context.Context) error { return f.run(ctx, caCheckInterval) }

func (f *Forwarder) run(ctx context.Context, every time.Duration) error {
	if f.cfg == nil || f.cfg.CAFile == "" {
		return nil
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	known, _ := os.ReadFile(f.cfg.CAFile)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := os.ReadFile(f.cfg.CAFile)
		if err != nil || bytes.Equal(now, known) {
			continue
		}
		next, err := newPools(f.cfg)
		if err != nil {
			continue // half written: the old one is good for as long
		}
		known = now
		old := f.pools.Swap(next)
		for _, t := range slices.Concat(old.credentialed.closers, old.anonymous.closers) {
			t.CloseIdleConnections()
		}
	}
}

// newInline makes the pool for short requests that can be sent again: most of all.
func newFastpathPool(address string, tlsConfig *tls.Config) *fastpath.Pool {
	cfg := tlsConfig.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(address) // it was joined
	}
	dialer := newDialer()
	dialer.Control = fastpath.UserTimeoutControl(deadConnTimeout)
	return fastpath.New(fastpath.Config{
		Dial: func(ctx context.Context) (*tls.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			raw, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, cfg)
			if err := conn.HandshakeContext(ctx); err != nil {
				_ = raw.Close()
				return nil, err
			}
			return conn, nil
		},
		Now: time.Now, DialTimeout: dialTimeout, MaxIdle: poolSize, IdleTimeout: idleTimeout, //nolint:forbidigo // a bound on real time
	})
}

func newDialer() *net.Dialer { return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive} }

// address is where to dial, as net/http would.
func address(cfg *rest.Config) (string, error) {
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return "", fmt.Errorf("reading API server address: %w", err)
	}
	host, err := idna.Lookup.ToASCII(target.Hostname())
	if err != nil || net.ParseIP(target.Hostname()) != nil {
		host = target.Hostname()
	}
	return net.JoinHostPort(host, cmp.Or(target.Port(), "443")), nil
}

// newTransport makes the pool for short requests, which HTTP/1.1 makes immune
// to GOAWAY in the middle of a body, or the one for streams over HTTP/2.
func newTransport(tlsConfig *tls.Config, http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(http2)
	cfg := tlsConfig.Clone()
	cfg.NextProtos = nil
	return &http.Transport{
		Protocols:           protocols,
		DialContext:         newDialer().DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true, // what the client did not ask for is not ours to add
		MaxIdleConns:        poolSize,
		MaxIdleConnsPerHost: poolSize,
		IdleConnTimeout:     idleTimeout,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamWindow,
		},
	}
}
