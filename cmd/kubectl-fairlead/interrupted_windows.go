package main

import "os"

// statusControlCExit is STATUS_CONTROL_C_EXIT (ntstatus.h).
const statusControlCExit = 0xC000013A

// interrupted reports whether Ctrl-C has ended a program.
func interrupted(ended *os.ProcessState) bool {
	return uint32(ended.ExitCode()) == statusControlCExit
}
