//go:build !windows

package main

import (
	"context"
	"os/exec"
	"syscall"
)

// startDetached starts a program that continues after this one has ended.
func startDetached(ctx context.Context, name string, args ...string) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // this program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() == nil {
		_ = cmd.Process.Release() // no one waits for it
	}
}
