// Package probe tests an upstream step by step: names, connections, certificates, discovery documents, client
// secrets. For each step it returns the result and, after a failure, what to change. It knows no connector type.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
)

// stepTimeout is the deadline of a step.
const stepTimeout = 5 * time.Second

// Client returns the HTTP client for an upstream, which also trusts the
// authorities in ca.
func Client(env connectors.Env, ca string) *http.Client {
	if env.Transport != nil {
		return &http.Client{Transport: env.Transport, Timeout: 2 * stepTimeout}
	}
	return &http.Client{Timeout: 2 * stepTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: Roots(ca)},
	}}
}

// Roots returns the authorities in a PEM text, or nil for the system's.
func Roots(ca string) *x509.CertPool {
	if ca == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	return pool
}

// Run is a check with its results so far.
type Run struct {
	Env      connectors.Env
	findings []connectors.Finding
}

// Findings returns the results.
func (r *Run) Findings() []connectors.Finding { return r.findings }

// Step runs fn and stores the result. It reports whether fn succeeded.
func (r *Run) Step(ctx context.Context, name string, fn func(ctx context.Context) (detail string, err error)) bool {
	began := r.Env.Now()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	detail, err := fn(ctx)
	found := connectors.Finding{Step: name, State: connectors.Passed, Took: r.Env.Now().Sub(began), Detail: detail}
	if err != nil {
		found.State = connectors.Failed
		found.Detail, found.Remedy = Explain(err)
	}
	r.findings = append(r.findings, found)
	return err == nil
}

// Warn adds a warning about something that works.
func (r *Run) Warn(step, detail, remedy string) {
	r.findings = append(r.findings, connectors.Finding{Step: step, State: connectors.Warned, Detail: detail, Remedy: remedy})
}

// Skip adds steps that were skipped because an earlier one failed.
func (r *Run) Skip(steps ...string) {
	for _, step := range steps {
		r.findings = append(r.findings, connectors.Finding{Step: step, State: connectors.Skipped, Detail: "not tried"})
	}
}

// Reach resolves a host name and connects to it.
func (r *Run) Reach(ctx context.Context, host, port string) bool {
	if r.Env.Transport != nil {
		return true
	}
	if net.ParseIP(host) == nil && !r.Step(ctx, "Find "+host, func(ctx context.Context) (string, error) {
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return "", err
		}
		return addresses[0], nil
	}) {
		return false
	}
	return r.Step(ctx, "Connect to "+net.JoinHostPort(host, port), func(ctx context.Context) (string, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return "", err
		}
		return "connected", conn.Close()
	})
}

// soon is the number of days before a certificate's expiry from which Step warns.
const soon = 30

// TLS makes a handshake and checks the certificate.
func (r *Run) TLS(ctx context.Context, host, port string, roots *x509.CertPool) bool {
	var ends time.Time
	good := r.Step(ctx, "Check the certificate of "+host, func(ctx context.Context) (string, error) {
		dialer := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots}}
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return "", err
		}
		if secured, ok := conn.(*tls.Conn); ok {
			ends = secured.ConnectionState().PeerCertificates[0].NotAfter
		}
		return fmt.Sprintf("good for %d days", r.days(ends)), conn.Close()
	})
	if good && r.days(ends) < soon {
		r.Warn("Certificate of "+host, fmt.Sprintf("It ends in %d days.", r.days(ends)), "Renew it before that date, or sign-ins fail.")
	}
	return good
}

func (r *Run) days(ends time.Time) int { return int(ends.Sub(r.Env.Now()).Hours() / 24) }

// Site connects to the host of an address and checks its certificate. With HTTPS_PROXY it connects to the proxy,
// because the host name may not resolve here; the next request then checks the certificate.
func (r *Run) Site(ctx context.Context, address, ca string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return r.Step(ctx, "Read the address", func(context.Context) (string, error) {
			return "", &FaultError{Cause: fmt.Sprintf("%q is no address.", address), Remedy: "Write it with https://."}
		})
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		return r.Reach(ctx, proxy.Hostname(), port(proxy))
	}
	if !r.Reach(ctx, u.Hostname(), port(u)) {
		return false
	}
	return u.Scheme != "https" || r.Env.Transport != nil || r.TLS(ctx, u.Hostname(), port(u), Roots(ca))
}

func port(u *url.URL) string {
	if u.Port() != "" {
		return u.Port()
	}
	return map[bool]string{true: "443", false: "80"}[u.Scheme == "https"]
}
