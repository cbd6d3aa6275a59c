package main

import (
	"context"
	"os/exec"
	"syscall"
)

// detachedProcess is DETACHED_PROCESS (winbase.h).
const detachedProcess = 0x00000008

// startDetached starts a program that continues after this one has ended.
func startDetached(ctx context.Context, name string, args ...string) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // this program
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess, HideWindow: true}
	if cmd.Start() == nil {
		_ = cmd.Process.Release() // no one waits for it
	}
}
