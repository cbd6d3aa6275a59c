// Command run attacks a proxy: it is the API server that the proxy forwards to, and sends
// hostile requests through the proxy.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/suites/attack"
)

func main() {
	target := flag.String("target", "", "host and port of the proxy to attack")
	token := flag.String("token", "", "a valid token for it, of a user without rights")
	upstream := flag.String("upstream", "127.0.0.1:9443", "where to listen as the API server that the proxy forwards to")
	flag.Parse()
	if *target == "" || *token == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*target, *token, *upstream); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(target, token, upstream string) error {
	behind := &attack.Upstream{}
	if err := listen(upstream, behind); err != nil {
		return err
	}
	result, err := (&attack.Suite{Address: target, Token: token, Upstream: behind}).Run()
	if err != nil {
		return err
	}
	for _, f := range result.Findings {
		fmt.Println(f)
	}
	fmt.Printf("%d attacks, %d requests arrived, %d as another user or hidden in another request.\n", result.Attacks, result.Arrived, len(result.Findings))
	if len(result.Findings) > 0 {
		return errors.New("the proxy has holes")
	}
	return nil
}

// listen is the API server, with a certificate of no known authority.
func listen(address string, handler http.Handler) error {
	ca, err := pki.NewCA("attack", time.Now())
	if err != nil {
		return err
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return fmt.Errorf("reading own certificate: %w", err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.ServeTLS(ln, "", "") }()
	return nil
}
