package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes makes a Windows console interpret escape sequences, and reports whether it
// does.
func enableEscapes(file *os.File) bool {
	var mode uint32
	console := windows.Handle(file.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// HasUser reports whether a user can read messages and answer them: whether one of the files
// is a console.
func HasUser(files ...any) bool {
	for _, f := range files {
		if IsTerminal(f) {
			return true
		}
	}
	return false
}
