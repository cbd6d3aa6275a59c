//go:build !linux

package fastpath

import (
	"syscall"
	"time"
)

// UserTimeoutControl returns nil, because this system has no TCP_USER_TIMEOUT.
func UserTimeoutControl(time.Duration) func(network, address string, conn syscall.RawConn) error {
	return nil
}
