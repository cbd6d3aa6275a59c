package pki_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

func TestServerAndClientCertificatesVerify(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, err := pki.NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server(now, "idp.test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "idp.test"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: ca.Pool()}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	client, err := ca.Client(now, "admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.TLS(); err != nil {
		t.Fatal(err)
	}
}
