package browser

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
)

// Method is a method to sign in.
type Method string

// The methods.
const (
	// Loopback opens a browser on this computer (RFC 8252).
	Loopback Method = "loopback"
	// DeviceCode shows a code to enter in a browser on any device (RFC 8628).
	DeviceCode Method = "device-code"
)

// Choose returns the method that works here: Loopback if a browser can be opened on this
// computer, and DeviceCode otherwise, for example over SSH.
func Choose() Method {
	return choose(runtime.GOOS, os.Getenv, func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	})
}

func choose(system string, getenv func(string) string, installed func(program string) bool) Method {
	switch {
	case getenv("BROWSER") != "": // the user names the program
		return Loopback
	case getenv("SSH_CONNECTION") != "" || getenv("SSH_TTY") != "":
		return DeviceCode
	case system == "windows" || system == "darwin" || getenv("WSL_DISTRO_NAME") != "":
		return Loopback
	case getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "", !installed("xdg-open"):
		return DeviceCode
	}
	return Loopback
}

// isWSL reports whether this is the Windows Subsystem for Linux, which opens the browser of
// Windows.
func isWSL() bool {
	if os.Getenv("WSL_DISTRO_NAME") != "" {
		return true
	}
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return err == nil && bytes.Contains(bytes.ToLower(text), []byte("microsoft"))
}
