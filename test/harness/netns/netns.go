//go:build linux

// Package netns gives a test a network namespace of its own, for servers whose ports
// are fixed. It needs root.
package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// Namespace is a network namespace with a loopback interface.
type Namespace struct{ jobs chan func() }

// New makes a namespace that lasts until the test ends.
func New(t testing.TB) *Namespace {
	t.Helper()
	if os.Getuid() != 0 {
		prerequisite.Missing(t, "only root can make a network namespace")
	}
	ip := prerequisite.Program(t, "ip", "/usr/sbin/ip")
	n := &Namespace{jobs: make(chan func())}
	t.Cleanup(func() { close(n.jobs) })
	go n.run()
	err := n.Do(func() error {
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			return err
		}
		return exec.Command(ip, "link", "set", "lo", "up").Run()
	})
	if err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	return n
}

// run is the one thread that is in the namespace. It never unlocks: the runtime ends
// the thread with its goroutine.
func (n *Namespace) run() {
	runtime.LockOSThread()
	for job := range n.jobs {
		job()
	}
}

// Do runs a function in the namespace. Programs that it starts and sockets that it
// opens belong there.
func (n *Namespace) Do(job func() error) error {
	done := make(chan error)
	n.jobs <- func() { done <- job() }
	return <-done
}

// Forward listens on loopback outside the namespace and passes each connection on to
// a port inside. It returns the address, "127.0.0.1:port".
func (n *Namespace) Forward(t testing.TB, port string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			outer, err := ln.Accept()
			if err != nil {
				return
			}
			n.join(outer, port)
		}
	}()
	return ln.Addr().String()
}

func (n *Namespace) join(outer net.Conn, port string) {
	inner, err := n.dial(port)
	if err != nil {
		_ = outer.Close()
		return
	}
	go relay(outer, inner)
	go relay(inner, outer)
}

func (n *Namespace) dial(port string) (conn net.Conn, err error) {
	err = n.Do(func() error {
		conn, err = net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		return err
	})
	return conn, err
}

// Wait returns once a port inside takes connections.
func (n *Namespace) Wait(port string, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := n.dial(port)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for port %s: %w", port, err)
		}
	}
}

func relay(to io.WriteCloser, from io.ReadCloser) {
	_, err := io.Copy(to, from)
	_ = errors.Join(err, to.Close(), from.Close())
}
