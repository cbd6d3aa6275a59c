// Package serve runs HTTP servers with timeouts, TLS with certificate reload, and graceful shutdown.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of every server.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Server is an HTTP server on one listener.
type Server struct {
	// Name identifies the server in the log.
	Name string
	// Listener accepts the connections. Run closes it.
	Listener net.Listener
	// Handler handles the requests.
	Handler http.Handler
	// Certificate, when set, makes the server speak TLS 1.2 or newer.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ReadTimeout and WriteTimeout bound a whole request and response. Zero means no bound, which
	// streams need.
	ReadTimeout, WriteTimeout time.Duration
	// Drain is how long Run waits for active requests at shutdown. Zero does not wait.
	Drain time.Duration
	// OnDrain, when set, is called once at the start of the shutdown.
	OnDrain func()
	// Logger receives start and stop messages, and the errors of net/http.
	Logger *slog.Logger
}

// Run serves until ctx ends or the listener fails. It returns nil after a graceful shutdown.
func (s *Server) Run(ctx context.Context) error {
	srv := s.httpServer()
	failed := make(chan error, 1)
	go func() { failed <- s.serve(srv) }()
	s.Logger.InfoContext(ctx, "listening", "server", s.Name, "address", s.Listener.Addr().String())
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", s.Name, err)
	case <-ctx.Done():
	}
	if s.OnDrain != nil {
		s.OnDrain()
	}
	return errors.Join(s.stop(context.WithoutCancel(ctx), srv), <-failed)
}

func (s *Server) httpServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(s.Certificate != nil)
	srv := &http.Server{
		Handler:           s.Handler,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       s.ReadTimeout,
		WriteTimeout:      s.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250},
		ErrorLog:          slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
	if s.Certificate != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.Certificate}
	}
	return srv
}

func (s *Server) serve(srv *http.Server) error {
	var err error
	if s.Certificate != nil {
		err = srv.ServeTLS(s.Listener, "", "")
	} else {
		err = srv.Serve(s.Listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) stop(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, s.Drain)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.Logger.InfoContext(ctx, "closing what did not finish", "server", s.Name)
		return srv.Close()
	}
	return err
}
