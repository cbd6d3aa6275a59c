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
	// poolSize is the number of idle connections to the API server to keep. A new connection costs
	// the API server a signature.
	poolSize = 256
	// idleTimeout is below the API server's own 90 seconds, so that a request does not meet a
	// connection that is being closed.
	idleTimeout  = 60 * time.Second
	dialTimeout  = 10 * time.Second
	keepAlive    = 30 * time.Second
	pingAfter    = 20 * time.Second
	pingTimeout  = 10 * time.Second
	streamWindow = 512 << 10
	// deadConnTimeout is the time after which HTTP/2 notices a dead connection with its pings.
	deadConnTimeout = pingAfter + pingTimeout
)

// New returns a Forwarder with the credentials of a client-go configuration. It reads certificate and
// token files again when they change.
func New(cfg *rest.Config) (*Forwarder, error) {
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's address: %w", err)
	}
	if target.Scheme != "https" {
		return nil, fmt.Errorf("the API server's address must be https, got %s", target.Redacted())
	}
	pools, err := newPools(cfg)
	if err != nil {
		return nil, err
	}
	f := newForwarder(&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}, pools)
	f.cfg = cfg
	return f, nil
}

func newPools(cfg *rest.Config) (*transportPools, error) {
	own, err := newTransportSet(cfg)
	if err != nil {
		return nil, err
	}
	// The anonymous set has no client certificate. An API server prefers a certificate to a token,
	// and would take the request for the proxy's own.
	bare, err := newTransportSet(rest.AnonymousClientConfig(cfg))
	if err != nil {
		return nil, err
	}
	return &transportPools{credentialed: own, anonymous: bare}, nil
}

// transportPools holds the transports with and without the proxy's credential.
type transportPools struct{ credentialed, anonymous transportSet }

// transportSet holds the transports with one credential: for fast-path requests, for other short
// requests and upgrades, and for streams.
type transportSet struct {
	fastpath, short, streams http.RoundTripper
	closers                  []idleCloser
}

// idleCloser is a transport with idle connections.
type idleCloser interface{ CloseIdleConnections() }

// transportFor returns the transport for a request.
func (p *transportPools) transportFor(call *Call, req *http.Request) http.RoundTripper {
	set := &p.credentialed
	if call.WithoutProxyCredential {
		set = &p.anonymous
	}
	switch {
	case call.Kind == Stream:
		return set.streams
	case call.usesFastpath(req):
		return set.fastpath
	}
	return set.short
}

func newTransportSet(cfg *rest.Config) (p transportSet, err error) {
	settings, err := cfg.TransportConfig()
	if err != nil {
		return p, fmt.Errorf("reading the credentials: %w", err)
	}
	tlsConfig, err := transport.TLSConfigFor(settings)
	if err != nil {
		return p, fmt.Errorf("reading the certificates: %w", err)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if tlsConfig.ClientSessionCache == nil {
		tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(poolSize)
	}
	add := func(transport *http.RoundTripper, base interface {
		http.RoundTripper
		idleCloser
	},
	) {
		if err == nil {
			p.closers = append(p.closers, base)
			*transport, err = withCredential(cfg, base)
		}
	}
	hostPort, err := address(cfg)
	if err != nil {
		return p, err
	}
	add(&p.fastpath, newFastpathPool(hostPort, tlsConfig))
	add(&p.short, newTransport(tlsConfig, false))
	add(&p.streams, newTransport(tlsConfig, true))
	if err != nil {
		return p, fmt.Errorf("using the credentials: %w", err)
	}
	return p, nil
}

// caCheckInterval is the time between two looks at the CA file.
const caCheckInterval = 15 * time.Second

// Run loads the API server's CA file again when it changes, until ctx ends. Open connections stay.
// New connections, and the TLS sessions that they resume, use only the new CA (CVE-2025-68121).
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
			continue // the file is incomplete: keep the old CA until the next look
		}
		known = now
		old := f.pools.Swap(next)
		for _, t := range slices.Concat(old.credentialed.closers, old.anonymous.closers) {
			t.CloseIdleConnections()
		}
	}
}

// newFastpathPool returns the pool for short requests that can be sent again, which are most requests.
func newFastpathPool(address string, tlsConfig *tls.Config) *fastpath.Pool {
	cfg := tlsConfig.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(address) // cannot fail: address comes from JoinHostPort
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

// address returns the host and port to dial, as net/http computes them.
func address(cfg *rest.Config) (string, error) {
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return "", fmt.Errorf("reading the API server's address: %w", err)
	}
	host, err := idna.Lookup.ToASCII(target.Hostname())
	if err != nil || net.ParseIP(target.Hostname()) != nil {
		host = target.Hostname()
	}
	return net.JoinHostPort(host, cmp.Or(target.Port(), "443")), nil
}

// newTransport returns the transport for other short requests, or for streams over HTTP/2. Short
// requests use HTTP/1.1, where no GOAWAY can interrupt a body.
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
		DisableCompression:  true, // the client decides whether it asks for compression
		MaxIdleConns:        poolSize,
		MaxIdleConnsPerHost: poolSize,
		IdleConnTimeout:     idleTimeout,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamWindow,
		},
	}
}
