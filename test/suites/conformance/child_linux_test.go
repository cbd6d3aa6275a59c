package conformance_test

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel end a process when this one ends, however it does.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
