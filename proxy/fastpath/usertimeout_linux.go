package fastpath

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// NoticeDead is for net.Dialer.Control: it ends a connection over which nothing gets through
// for so long (TCP_USER_TIMEOUT in tcp(7)), as when the machine at its other end is gone
// without a word. A request on its way is then sent anew, over another one. It is nothing for
// connections whose other end may rest for long before it reads on.
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
