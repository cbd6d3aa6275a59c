//go:build linux

package netns_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/netns"
)

func TestForward(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	err := n.Do(func() error {
		ln, err := net.Listen("tcp", "127.0.0.1:389")
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "inside")
				_ = conn.Close()
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Wait("389", time.Second); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", n.Forward(t, "389"))
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); string(said) != "inside" {
		t.Errorf("the server inside said %q, %v", said, err)
	}
}
