package forward

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
	short, err := rest.HTTPWrappersForConfig(cfg, newTransport(tlsConfig, false))
	if err != nil {
		return nil, fmt.Errorf("using credentials: %w", err)
	}
	streams, err := rest.HTTPWrappersForConfig(cfg, newTransport(tlsConfig, true))
	if err != nil {
		return nil, fmt.Errorf("using credentials: %w", err)
	}
	return New(&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}, short, streams), nil
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
