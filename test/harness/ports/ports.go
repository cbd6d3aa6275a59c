// Package ports reserves loopback ports, for programs that must be told their port
// before they start.
package ports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
)

// The ports are below those that the kernel gives to outgoing connections (from 32768
// on Linux): such a connection would keep the server from listening.
const first, last, tries = 10_000, 32_000, 100

// Reserve returns an address, "127.0.0.1:port", that no other process is given for a
// minute. It leaves a connection to the port in the state TIME_WAIT. That keeps other
// calls from choosing the port again, but not a server from listening on it.
func Reserve() (address string, err error) {
	ln, err := listen()
	if err != nil {
		return "", fmt.Errorf("choosing port: %w", err)
	}
	defer func() { err = errors.Join(err, ln.Close()) }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return "", fmt.Errorf("reserving port: %w", err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		return "", fmt.Errorf("reserving port: %w", err)
	}
	// The side that closes first keeps the state, so the server must.
	if err := server.Close(); err != nil {
		return "", fmt.Errorf("reserving port: %w", err)
	}
	if _, err := io.Copy(io.Discard, client); err != nil {
		return "", fmt.Errorf("reserving port: %w", err)
	}
	return ln.Addr().String(), nil
}

// listen listens on a free port at random. It binds without SO_REUSEADDR, so that a port
// in the state TIME_WAIT is not free, and sets the option then, so that a server can
// listen on the port later.
func listen() (net.Listener, error) {
	exclusive := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error { return setReuse(conn, 0) }}
	var taken error
	for range tries {
		port := first + rand.N(last-first) //nolint:gosec // a port is no secret
		ln, err := exclusive.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			taken = err
			continue
		}
		return ln, reusable(ln)
	}
	return nil, taken
}

func reusable(ln net.Listener) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("%T is no TCP listener", ln)
	}
	conn, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	return setReuse(conn, 1)
}

func setReuse(conn syscall.RawConn, value int) (err error) {
	fault := conn.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, value)
	})
	return errors.Join(fault, err)
}
