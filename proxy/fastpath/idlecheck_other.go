//go:build !unix

package fastpath

import "syscall"

// socketBufferEmpty returns false, because this system offers no such check. Each connection is
// used only once.
func socketBufferEmpty(syscall.RawConn) bool { return false }
