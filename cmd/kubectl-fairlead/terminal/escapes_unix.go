//go:build !windows

package terminal

import "os"

// enableEscapes reports whether the terminal understands escape sequences.
func enableEscapes(*os.File) bool { return true }

// HasUser reports whether a user can read messages and answer them: whether one of the files
// is a terminal, or the process has a controlling terminal.
func HasUser(files ...any) bool {
	for _, f := range files {
		if IsTerminal(f) {
			return true
		}
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	_ = tty.Close() // it was only opened to see whether there is one
	return true
}
