package e2e_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bearerSubprotocol opens an exec as a browser would: with the token among the WebSocket
// subprotocols, which must not go on to the API server.
func (p *peers) bearerSubprotocol(t *testing.T) {
	exec := func(protocols, authorization string) (*bufio.Reader, *http.Response) {
		conn, err := tls.Dial("tcp", p.a, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /api/v1/namespaces/demo/pods/hello/exec?command=echo&command=hello&stdout=1 HTTP/1.1\r\nHost: x\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", authorization, protocols); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r, resp
	}
	bearer := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(p.me.token("a")))
	r, resp := exec("v5.channel.k8s.io, "+bearer, "")
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Protocol") != "v5.channel.k8s.io" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	text, _ := io.ReadAll(r)
	if !strings.Contains(string(text), "\x01hello\n") {
		t.Errorf("%q", text)
	}
	for name, c := range map[string][2]string{
		"two tokens":        {"v5.channel.k8s.io, " + bearer + ", " + bearer, ""},
		"a header as well":  {"v5.channel.k8s.io, " + bearer, "Authorization: Bearer " + p.me.token("a") + "\r\n"},
		"a bad token":       {"v5.channel.k8s.io, " + bearer + "x", ""},
		"what is no base64": {"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.%%%", ""},
	} {
		if _, resp := exec(c[0], c[1]); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}
