// Package remote is the plugin's calls to the server: the OAuth client of
// kubectl-fairlead. It keeps nothing.
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
	clientID     = "kubectl-fairlead"
	scopes       = "openid profile email groups offline_access"
	callTimeout  = 20 * time.Second
	maxAnswer    = 4 << 20
	maxClockSkew = 2 * time.Minute
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantSetup   = "urn:fairlead:params:oauth:grant-type:setup-code"
	grantSwap    = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess   = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT      = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken  = "urn:ietf:params:oauth:token-type:id_token"
)

// Server is one Fairlead server.
type Server struct {
	base string
	http *http.Client
	now  func() time.Time
	// skew is how far the server's clock was ahead of ours at the last call.
	skew time.Duration
}

// Skew is how far the server's clock was ahead of ours at the last call.
func (s *Server) Skew() time.Duration { return s.skew }

// New returns a server. CA is the PEM of the authority to trust besides the
// system's, or empty. The proxy settings of the environment hold.
func New(base, ca string, now func() time.Time) (*Server, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%q is not a server address; it looks like https://login.example.com", base)
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
		return nil, fmt.Errorf("%s is not encrypted: use https", base)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the CA file holds no certificate in PEM form")
		}
		cfg.RootCAs = pool
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	return &Server{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport, Timeout: callTimeout}, now: now}, nil
}

// RefusedError is a clear no of the server. The text is for people.
type RefusedError struct {
	Code, Text string
}

// Error returns the text.
func (r *RefusedError) Error() string { return r.Text }

// SignedOut reports whether err says that the session is over.
func SignedOut(err error) bool {
	r, ok := errors.AsType[*RefusedError](err)
	return ok && r.Code == "invalid_grant"
}

// Check asks whether there is a Fairlead server at the address.
func (s *Server) Check(ctx context.Context) error {
	var doc struct {
		Issuer string `json:"issuer"`
	}
	if err := s.get(ctx, "/.well-known/openid-configuration", secret.Value{}, &doc); err != nil {
		return err
	}
	if doc.Issuer != s.base {
		return fmt.Errorf("the server calls itself %s; use that address", doc.Issuer)
	}
	return nil
}

// AuthURL is where the browser goes to sign in.
func (s *Server) AuthURL(a Authorization) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {a.RedirectURI}, "scope": {scopes}, "state": {a.State},
		"code_challenge": {a.Challenge}, "code_challenge_method": {"S256"},
	}
	if a.Host != "" {
		q.Set("fairlead_host", a.Host)
	}
	if a.OtherUser {
		q.Set("prompt", "login")
	}
	return s.base + "/authorize?" + q.Encode()
}

// Authorization is a request to sign in.
type Authorization struct {
	RedirectURI, State, Challenge, Host string
	// OtherUser asks for a fresh sign-in.
	OtherUser bool
}

// Base is the server's address, which is also its issuer.
func (s *Server) Base() string { return s.base }

// Grant is what the token endpoint gave.
type Grant struct {
	AccessToken  secret.Value
	RefreshToken secret.Value
	Expires      time.Time
}

type answer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
	Error        string `json:"error"`
	Description  string `json:"error_description"`
}

// Redeem exchanges a code.
func (s *Server) Redeem(ctx context.Context, code, redirectURI, verifier string) (Grant, error) {
	return s.grant(ctx, url.Values{"grant_type": {grantCode}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}})
}

// RedeemSetup exchanges a setup code. The host is what this computer calls itself.
func (s *Server) RedeemSetup(ctx context.Context, code secret.Value, host string) (Grant, error) {
	return s.grant(ctx, url.Values{"grant_type": {grantSetup}, "code": {code.Reveal()}, "fairlead_host": {host}})
}

// Refresh uses up a refresh token.
func (s *Server) Refresh(ctx context.Context, token secret.Value) (Grant, error) {
	return s.grant(ctx, url.Values{"grant_type": {grantRefresh}, "refresh_token": {token.Reveal()}})
}

// Exchange gets a token for a cluster's audience.
func (s *Server) Exchange(ctx context.Context, access secret.Value, audience string) (Grant, error) {
	return s.grant(ctx, url.Values{
		"grant_type": {grantSwap}, "subject_token": {access.Reveal()}, "subject_token_type": {typeAccess},
		"requested_token_type": {typeIDToken}, "audience": {audience},
	})
}

// ExchangeWorkload gets a token for a cluster in exchange for one of a program's own platform.
func (s *Server) ExchangeWorkload(ctx context.Context, token secret.Value, cluster string) (Grant, error) {
	return s.grant(ctx, url.Values{
		"grant_type": {grantSwap}, "subject_token": {token.Reveal()}, "subject_token_type": {typeJWT},
		"requested_token_type": {typeIDToken}, "resource": {s.base + "/clusters/" + url.PathEscape(cluster)},
	})
}

func (s *Server) grant(ctx context.Context, form url.Values) (Grant, error) {
	form.Set("client_id", clientID)
	began := s.now()
	var a answer
	if err := s.post(ctx, "/token", form, &a); err != nil {
		return Grant{}, err
	}
	return Grant{
		AccessToken: secret.NewValue(a.AccessToken), RefreshToken: secret.NewValue(a.RefreshToken),
		// By our own clock, so that a wrong one does no harm here.
		Expires: began.Add(time.Duration(a.ExpiresIn) * time.Second),
	}, nil
}

// Revoke ends the session that a refresh token belongs to.
func (s *Server) Revoke(ctx context.Context, token secret.Value) error {
	return s.post(ctx, "/revoke", url.Values{"client_id": {clientID}, "token": {token.Reveal()}}, nil)
}

// SignOutEverywhere ends all that the person has at the server.
func (s *Server) SignOutEverywhere(ctx context.Context, access secret.Value) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+apitypes.SignOutPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	return s.do(req, nil)
}

// Clusters lists what the person may use.
func (s *Server) Clusters(ctx context.Context, access secret.Value) (apitypes.Clusters, error) {
	var list apitypes.Clusters
	err := s.get(ctx, apitypes.ClustersPath, access, &list)
	return list, err
}

func (s *Server) post(ctx context.Context, path string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(req, into)
}

func (s *Server) get(ctx context.Context, path string, access secret.Value, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	if !access.Empty() {
		req.Header.Set("Authorization", "Bearer "+access.Reveal())
	}
	return s.do(req, into)
}

func (s *Server) do(req *http.Request, into any) error {
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s can't be reached: %w", s.base, bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	s.noteClock(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		if into == nil {
			return nil
		}
		if err := json.Unmarshal(body, into); err != nil {
			return fmt.Errorf("%s did not answer like a Fairlead server", s.base)
		}
		return nil
	}
	var a answer
	if json.Unmarshal(body, &a) != nil || a.Error == "" {
		return fmt.Errorf("%s answered %s", s.base, resp.Status)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return errors.New(a.Description)
	}
	return &RefusedError{Code: a.Error, Text: a.Description + s.clockHint()}
}

// bare drops the method and address that net/http puts in front: the address
// can hold nothing secret, but it buries the cause.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (s *Server) noteClock(resp *http.Response) {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.skew = date.Sub(s.now())
	}
}

// Clock says what is wrong with the clocks, for people; nothing when they agree. A token of a
// server whose clock is ahead is not good yet for a cluster whose clock is right, and what
// kubectl says then does not mention a clock.
func (s *Server) Clock() string {
	if s.skew.Abs() < maxClockSkew {
		return ""
	}
	return fmt.Sprintf("The clock of this computer differs from that of %s by %s. Set it first.", s.base, s.skew.Abs().Round(time.Second))
}

func (s *Server) clockHint() string {
	if text := s.Clock(); text != "" {
		return " (" + text + ")"
	}
	return ""
}
