package fastpath

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// UserTimeoutControl returns a net.Dialer.Control function that sets TCP_USER_TIMEOUT (tcp(7)). The
// kernel then closes a connection on which sent data stays unacknowledged for that long, for example
// because the other machine is gone. Do not use it for connections whose peer may stop reading for
// a long time.
func UserTimeoutControl(after time.Duration) func(network, address string, conn syscall.RawConn) error {
	return func(_, _ string, conn syscall.RawConn) (err error) {
		if refused := conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after.Milliseconds()))
		}); refused != nil {
			return refused
		}
		return err
	}
}
