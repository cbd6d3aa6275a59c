// Package ports reserves loopback ports that the kernel chooses, for programs
// that must be told their port before they start.
package ports

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// Reserve returns an address, "127.0.0.1:port", that no other process is given for a
// minute. It leaves a connection to the port in the state TIME_WAIT. That keeps the
// kernel from choosing the port again, but not a server from listening on it.
func Reserve() (address string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
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
