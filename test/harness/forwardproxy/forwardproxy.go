// Package forwardproxy runs a company's HTTP forward proxy for tests of upstreams with
// fixed addresses. It sends the requests for these hosts to fakes, so that the program
// under test needs no switch for tests.
package forwardproxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

// Proxy sends requests for some hosts to handlers of the test.
type Proxy struct {
	ca    *pki.CA
	front *httptest.Server

	mu    sync.Mutex
	hosts map[string]http.Handler
}

// Run runs the tests of a package behind a proxy, and returns the exit status.
// TestMain calls it before anything reads the environment: the proxy's address and
// the authority that it makes certificates with are there.
func Run(m *testing.M, p *Proxy) int {
	dir, err := os.MkdirTemp("", "forwardproxy")
	if err == nil {
		err = p.begin(dir)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

func (p *Proxy) begin(dir string) error {
	var err error
	if p.ca, err = pki.NewCA("detour", time.Now()); err != nil {
		return err
	}
	p.hosts = map[string]http.Handler{}
	p.front = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.front.TLS = &tls.Config{GetCertificate: p.certificate, MinVersion: tls.VersionTLS12}
	p.front.StartTLS()
	way := httptest.NewServer(http.HandlerFunc(p.connect))
	file := dir + "/ca.crt"
	return errors.Join(os.WriteFile(file, p.ca.PEM, 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("HTTPS_PROXY", way.URL))
}

// Lead makes a handler answer for hosts. Nil takes them down.
func (p *Proxy) Lead(h http.Handler, hosts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, host := range hosts {
		p.hosts[host] = h
	}
}

func (p *Proxy) handler(host string) http.Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[host]
}

func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := p.ca.Server(time.Now(), hello.ServerName)
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	return &cert, err
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if h := p.handler(r.Host); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, r.Host+" is down", http.StatusBadGateway)
}

// connect is the CONNECT method (RFC 9110 section 9.3.6).
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	if host, found := strings.CutSuffix(r.Host, ":443"); r.Method != http.MethodConnect || !found || p.handler(host) == nil {
		http.Error(w, "no way to "+r.Host, http.StatusBadGateway)
		return
	}
	server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", p.front.Listener.Addr().String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
}
