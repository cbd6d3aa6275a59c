// Package serverclient calls a Fairlead server as the OAuth 2.0 client kubectl-fairlead: the
// token, device authorization and revocation endpoints, and Fairlead's own API for clusters.
// It stores nothing.
package serverclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

const (
	clientID = "kubectl-fairlead"
	scopes   = "openid profile email groups offline_access"
	// callTimeout limits each request, maxResponse each response in bytes.
	callTimeout = 20 * time.Second
	maxResponse = 4 << 20
	// maxClockSkew is the largest difference of clocks that needs no warning.
	maxClockSkew = 2 * time.Minute
)

// Server is a Fairlead server.
type Server struct {
	base string
	http *http.Client
	now  func() time.Time
	skew time.Duration
}

// New returns a client for the server at a URL. CA holds certificate authorities in PEM that it
// trusts besides those of the system; empty means only those. It uses the proxy settings of
// the environment.
func New(base, ca string, now func() time.Time) (*Server, error) {
	if err := CheckAddress(base); err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the CA file holds no certificate in PEM format")
		}
		cfg.RootCAs = pool
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	return &Server{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport, Timeout: callTimeout}, now: now}, nil
}

// CheckAddress returns an error with a suggestion unless base is the https URL of a server, or an
// http URL of this computer.
func CheckAddress(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		if withScheme, err := url.Parse("https://" + base); err == nil && strings.Contains(withScheme.Hostname(), ".") && !strings.Contains(base, "://") {
			return fmt.Errorf("%q is not a URL. Did you mean https://%s?", base, base) //nolint:revive,staticcheck // a sentence for the user
		}
		return fmt.Errorf("%q is not the URL of a server. Use a URL such as https://login.example.com", base)
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
		return fmt.Errorf("%s is not encrypted. Use https://%s", base, strings.TrimPrefix(base, "http://"))
	}
	return nil
}

// Base returns the server's URL, which is also its issuer.
func (s *Server) Base() string { return s.base }

// RefusedError means that the server refused the request. Text is its message for the user.
type RefusedError struct {
	// Code is an OAuth error code, such as invalid_grant.
	Code, Text string
}

// Error returns the text.
func (r *RefusedError) Error() string { return r.Text }

// UnreachableError means that the server can't be reached, or did not respond in time.
type UnreachableError struct {
	Server string
	Cause  error
}

// Error returns the server and the reason.
func (u *UnreachableError) Error() string {
	reason := u.Cause.Error()
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](u.Cause); ok && timeout.Timeout() {
		reason = "it did not respond in time"
	}
	return fmt.Sprintf("%s can't be reached: %s", u.Server, reason)
}

// Unwrap returns the cause.
func (u *UnreachableError) Unwrap() error { return u.Cause }

// SessionEnded reports whether err means that the session has ended (invalid_grant).
func SessionEnded(err error) bool {
	r, ok := errors.AsType[*RefusedError](err)
	return ok && r.Code == "invalid_grant"
}

// Check returns an error unless there is a Fairlead server at the URL that uses it as issuer.
func (s *Server) Check(ctx context.Context) error {
	var doc struct {
		Issuer string `json:"issuer"`
	}
	if err := s.get(ctx, "/.well-known/openid-configuration", secret.Value{}, &doc); err != nil {
		return err
	}
	if doc.Issuer != s.base {
		return fmt.Errorf("the server at %s has the issuer %s. Use %s as its address", s.base, doc.Issuer, doc.Issuer)
	}
	return nil
}

// SignOutEverywhere ends every sign-in and device of the user at the server.
func (s *Server) SignOutEverywhere(ctx context.Context, access secret.Value) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+apitypes.SignOutPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("creating the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	return s.do(req, nil)
}

// Clusters lists the clusters that the user may use.
func (s *Server) Clusters(ctx context.Context, access secret.Value) (apitypes.Clusters, error) {
	var list apitypes.Clusters
	err := s.get(ctx, apitypes.ClustersPath, access, &list)
	return list, err
}

func (s *Server) post(ctx context.Context, path string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("creating the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(req, into)
}

func (s *Server) get(ctx context.Context, path string, access secret.Value, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("creating the request: %w", err)
	}
	if !access.Empty() {
		req.Header.Set("Authorization", "Bearer "+access.Reveal())
	}
	return s.do(req, into)
}

// do sends a request and decodes the response. It ignores the body if into is nil.
func (s *Server) do(req *http.Request, into any) error {
	resp, err := s.http.Do(req)
	if err != nil {
		return &UnreachableError{Server: s.base, Cause: withoutURL(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	s.measureSkew(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return fmt.Errorf("reading the response of %s: %w", s.base, err)
	}
	if resp.StatusCode == http.StatusOK {
		if into == nil {
			return nil
		}
		if json.Unmarshal(body, into) != nil {
			return s.errNotFairlead()
		}
		return nil
	}
	var fault struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &fault) != nil || fault.Error == "" {
		return fmt.Errorf("%s responded with %s", s.base, resp.Status)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return errors.New(fault.Description)
	}
	text := fault.Description
	if warning := s.ClockWarning(); warning != "" {
		text += " (" + warning + ")"
	}
	return &RefusedError{Code: fault.Error, Text: text}
}

func (s *Server) errNotFairlead() error {
	return fmt.Errorf("the response of %s is not that of a Fairlead server. Check the address", s.base)
}

// withoutURL removes the method and the URL that net/http adds to an error. They hide the
// cause in a long line.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// Skew returns how far the server's clock was ahead of this computer's clock in the last
// response.
func (s *Server) Skew() time.Duration { return s.skew }

func (s *Server) measureSkew(resp *http.Response) {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.skew = date.Sub(s.now())
	}
}

// ClockWarning returns a warning for the user if the clocks of this computer and the server
// differ by more than two minutes, or "". A cluster refuses a token that is not valid yet by
// its own clock, and kubectl's message does not mention a clock.
func (s *Server) ClockWarning() string {
	if s.skew.Abs() < maxClockSkew {
		return ""
	}
	return fmt.Sprintf("The clock of this computer differs from that of %s by %s. Set it first.", s.base, s.skew.Abs().Round(time.Second))
}
