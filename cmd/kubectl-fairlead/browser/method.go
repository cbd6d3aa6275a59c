package browser

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
)

// Way is how a person signs in.
type Way string

// The ways.
const (
	// Here opens a browser on this computer.
	Here Way = "browser"
	// ByCode shows a code to type on another screen (RFC 8628).
	ByCode Way = "code"
)

// Choose returns the way that will work: a code over SSH and where nothing shows a page.
func Choose() Way {
	return choose(runtime.GOOS, os.Getenv, func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	})
}

func choose(system string, env func(string) string, has func(program string) bool) Way {
	switch {
	case env("BROWSER") != "": // somebody said what to open
		return Here
	case env("SSH_CONNECTION") != "" || env("SSH_TTY") != "":
		return ByCode
	case system == "windows" || system == "darwin" || env("WSL_DISTRO_NAME") != "":
		return Here
	case env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == "", !has("xdg-open"):
		return ByCode
	}
	return Here
}

// isWSL reports whether this is Linux on Windows, whose browser is the one to open.
func isWSL() bool {
	if os.Getenv("WSL_DISTRO_NAME") != "" {
		return true
	}
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return err == nil && bytes.Contains(bytes.ToLower(text), []byte("microsoft"))
}
