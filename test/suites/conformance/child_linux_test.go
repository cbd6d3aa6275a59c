package conformance_test

import (
	"os/exec"
	"syscall"
)

// killWithParent has the kernel end a process when this one ends, however it does.
func killWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
