package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
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
)

// FromConfig makes a forwarder with the credentials of a client-go
// configuration. Files of certificates and tokens are read again when they
// change.
func FromConfig(cfg *rest.Config) (*Forwarder, error) {
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

func newPools(cfg *rest.Config) (*pools, error) {
	settings, err := cfg.TransportConfig()
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	tlsConfig, err := transport.TLSConfigFor(settings)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	pools := &pools{idle: []*http.Transport{newTransport(tlsConfig, false), newTransport(tlsConfig, true)}}
	if pools.short, err = rest.HTTPWrappersForConfig(cfg, pools.idle[0]); err != nil {
		return nil, fmt.Errorf("using credentials: %w", err)
	}
	if pools.streams, err = rest.HTTPWrappersForConfig(cfg, pools.idle[1]); err != nil {
		return nil, fmt.Errorf("using credentials: %w", err)
	}
	return pools, nil
}

// pools are the ways to the API server.
type pools struct {
	short, streams http.RoundTripper
	idle           []*http.Transport
}

// lookEvery is how often it is looked whether the authority's file has changed.
const lookEvery = 15 * time.Second

// Run takes up a new authority of the API server when its file changes, until ctx ends.
// Connections that are open stay; new ones, and their TLS sessions, know the new one only
// (CVE-2025-68121).
func (f *Forwarder) Run(ctx context.Context) error { return f.run(ctx, lookEvery) }

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
		for _, t := range f.pools.Swap(next).idle {
			t.CloseIdleConnections()
		}
	}
}

// newTransport makes the pool for short requests, which HTTP/1.1 makes immune
// to GOAWAY in the middle of a body, or the one for streams over HTTP/2.
func newTransport(tlsConfig *tls.Config, http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(http2)
	cfg := tlsConfig.Clone()
	cfg.NextProtos = nil
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(poolSize)
	}
	return &http.Transport{
		Protocols:           protocols,
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
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
