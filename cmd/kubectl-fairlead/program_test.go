//go:build !windows

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// runVariable makes the test binary run the program instead of tests.
const runVariable = "FAIRLEAD_TEST_RUN_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(runVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// computer is a user's computer: a home folder, and environment variables.
type computer struct {
	t    *testing.T
	home string
	env  []string
}

func newComputer(t *testing.T, env ...string) *computer {
	t.Helper()
	home := t.TempDir()
	return &computer{t: t, home: home, env: append([]string{
		runVariable + "=1", "HOME=" + home, "PATH=" + home + "/bin:" + os.Getenv("PATH"), "FAIRLEAD_CACHE_DIR=" + home + "/cache", "FAIRLEAD_KEYRING=off",
		"KUBECONFIG=" + home + "/kubeconfig", "TERM=xterm", "BROWSER=true", "TZ=UTC",
	}, env...)}
}

func (c *computer) command(args ...string) *exec.Cmd {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), self, args...)
	cmd.Env = c.env
	return cmd
}

// result is the result of a program.
type result struct {
	out, err string
	code     int
}

// run runs the program with pipes, and without a controlling terminal.
func (c *computer) run(args ...string) result {
	c.t.Helper()
	cmd := c.command(args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code says more
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// endMark is what the shell of a terminal prints after the program's last output, before the exit code.
const endMark = "\x1b]end\x07"

// screen runs the program in a terminal, and presses keys when it shows a text. As on a real computer, a shell leads
// the terminal's session: when the leader of a session ends, the kernel drops output that was not read yet.
func (c *computer) screen(columns uint16, until, keys string, args ...string) (text string, code int) {
	c.t.Helper()
	program := c.command(args...)
	cmd := exec.CommandContext(c.t.Context(), "sh", append([]string{"-c", `trap : INT; "$@"; printf '\033]end\007%d.' $?; read -r _`, "sh"}, program.Args...)...)
	cmd.Env = program.Env
	controller, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: columns})
	if err != nil {
		c.t.Fatal(err)
	}
	defer controller.Close()
	timer := time.AfterFunc(20*time.Second, func() { _ = controller.Close() })
	defer timer.Stop()
	var out bytes.Buffer
	buffer := make([]byte, 4096)
	for {
		n, err := controller.Read(buffer)
		if err != nil {
			c.t.Fatalf("the program did not end: %v\n%s", err, out.String())
		}
		out.Write(buffer[:n])
		if keys != "" && strings.Contains(out.String(), until) {
			if _, err := io.WriteString(controller, keys); err != nil {
				c.t.Fatal(err)
			}
			keys = ""
		}
		if text, end, ok := strings.Cut(out.String(), endMark); ok && strings.HasSuffix(end, ".") {
			code, err := strconv.Atoi(strings.TrimSuffix(end, "."))
			if err != nil {
				c.t.Fatal(err)
			}
			_, _ = io.WriteString(controller, "\n") // the shell ends
			_ = cmd.Wait()
			return strings.ReplaceAll(text, "\r\n", "\n"), code
		}
	}
}

// signIn signs in with a setup code.
func (c *computer) signIn(s *fakeServer, args ...string) {
	c.t.Helper()
	if r := c.run(append([]string{"login", s.URL, "--code", "x"}, args...)...); r.code != 0 || !strings.Contains(r.err, "Signed in to "+s.URL+" as local:jane@example.test.") {
		c.t.Fatalf("%+v", r)
	}
}

// script writes a program into the PATH of the computer.
func (c *computer) script(name, text string) {
	c.t.Helper()
	if err := os.MkdirAll(c.home+"/bin", 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.home, "bin", name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		c.t.Fatal(err)
	}
}

func europe() apitypes.Cluster {
	return apitypes.Cluster{ID: "prod-eu", Name: "Production in Europe", Context: "prod-eu", Server: "https://prod-eu.k8s.example.com", Audience: "k8s-prod-eu"}
}

func development() apitypes.Cluster {
	return apitypes.Cluster{ID: "dev", Name: "Development", Context: "dev", Server: "https://dev.k8s.example.com", Audience: "k8s-dev"}
}
