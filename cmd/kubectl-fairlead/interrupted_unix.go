//go:build !windows

package main

import (
	"os"
	"syscall"
)

// interrupted reports whether Ctrl-C or a request to terminate has ended a program.
func interrupted(ended *os.ProcessState) bool {
	status, ok := ended.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGINT || status.Signal() == syscall.SIGTERM)
}
