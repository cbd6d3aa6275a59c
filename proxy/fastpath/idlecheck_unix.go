//go:build unix

package fastpath

import (
	"errors"
	"syscall"
)

// socketBufferEmpty reports whether the kernel holds no data and no close for the socket.
func socketBufferEmpty(fd syscall.RawConn) bool {
	empty := false
	err := fd.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		empty = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && empty
}
