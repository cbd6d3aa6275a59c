//go:build !windows

package main

import (
	"context"
	"os/exec"
	"syscall"
)

// detach starts a program that goes on when this one ends.
func detach(ctx context.Context, name string, args ...string) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // it is this program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() == nil {
		_ = cmd.Process.Release() // nobody waits for it
	}
}
