package browser

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// Open returns a function that opens a URL in the browser: with a program, or with the
// default of the system if program is empty.
func Open(program string) func(ctx context.Context, address string) error {
	return func(_ context.Context, address string) error {
		name, args := openCommand(runtime.GOOS, program)
		// Without a context: the browser must outlive this program.
		cmd := exec.Command(name, append(args, address)...) //nolint:gosec,noctx // the user chooses the program
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("running %s: %w", name, err)
		}
		go func() { _ = cmd.Wait() }()
		return nil
	}
}

func openCommand(system, program string) (name string, args []string) {
	switch {
	case program != "":
		return program, nil
	case system == "linux" && isWSL():
		return "rundll32.exe", []string{"url.dll,FileProtocolHandler"}
	case system == "darwin":
		return "open", nil
	case system == "windows":
		// Not "cmd /c start", which would read an ampersand in the URL as a second command.
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	return "xdg-open", nil
}
