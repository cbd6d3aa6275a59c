package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// credentials is who signs in.
type credentials struct {
	relyingparty.Credentials
	// Elsewhere is the host of an upstream that the browser may go to.
	Elsewhere string
	// Ignore leaves the tab alone, as people do.
	Ignore bool
}

// TestMain lets this test binary play a person's browser: the plugin starts it
// with the address to open.
func TestMain(m *testing.M) {
	if os.Getenv("FAIRLEAD_TEST_LOGIN") != "" && len(os.Args) == 2 {
		os.Exit(playBrowser(os.Args[1]))
	}
	os.Exit(m.Run())
}

func browserProgram(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func playBrowser(address string) int {
	log, err := os.OpenFile(os.Getenv("FAIRLEAD_TEST_BROWSER_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer log.Close()
	fmt.Fprintln(log, "opened")
	var as credentials
	if err := json.Unmarshal([]byte(os.Getenv("FAIRLEAD_TEST_LOGIN")), &as); err != nil || as.Ignore {
		return 1
	}
	// A person needs a moment; programs that come meanwhile must wait.
	time.Sleep(300 * time.Millisecond)
	t := outside{ctx: context.Background()}
	b := relyingparty.NewBrowser(t, address, systemRoots(t))
	b.AlsoFollow = as.Elsewhere
	page := b.SignIn(address, as.Credentials)
	if page.RedirectedTo == nil {
		t.Fatalf("not through: %v\n%s", page, page.Text)
	}
	resp, err := http.Get(page.RedirectedTo.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return 0
}

// outside stands in for a test in a process that is none.
type outside struct {
	testing.TB
	ctx context.Context
}

func (o outside) Helper()                  {}
func (o outside) Context() context.Context { return o.ctx }
func (o outside) Fatal(args ...any)        { o.Fatalf("%s", fmt.Sprint(args...)) }
func (o outside) Fatalf(format string, args ...any) {
	_ = os.WriteFile(os.Getenv("FAIRLEAD_TEST_BROWSER_LOG")+".fault", fmt.Appendf(nil, format, args...), 0o600)
	os.Exit(1)
}

// systemRoots trusts what SSL_CERT_FILE says, as the plugin does.
func systemRoots(t testing.TB) http.RoundTripper {
	t.Helper()
	pem, err := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
}

func tlsConfig(ca *pki.CA) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.Pool()}
}

func tlsFromPEM(t *testing.T, pem []byte) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}
