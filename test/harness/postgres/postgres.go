// Package postgres runs a PostgreSQL server of its own for tests that stop and
// start it. Tests that only need a database use server/base/store/storetest.
package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// Server is a server that can be stopped and started.
type Server struct {
	// URL connects to it as its owner.
	URL string

	t    testing.TB
	dir  string
	bin  string
	port string
}

// Start runs a fresh server until the test ends. Commits wait for the disk as
// they do in production, so that a stop loses nothing.
func Start(t testing.TB) *Server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		prerequisite.Missing(t, "PostgreSQL is not installed (make deps installs it)")
	}
	// Short, because a socket path has at most about 100 characters.
	dir, err := os.MkdirTemp("/tmp", "flpg") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, bin: filepath.Dir(found[len(found)-1]), port: address[len("127.0.0.1:"):]}
	if os.Getuid() == 0 { // the server refuses to run as root
		s.command("chown", "postgres", dir)
	}
	if err := os.WriteFile(dir+"/pw", []byte("drill"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.as("initdb", "-D", dir+"/data", "-U", "fairlead", "--pwfile="+dir+"/pw", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync", "--no-instructions")
	s.URL = fmt.Sprintf("postgres://fairlead:drill@127.0.0.1:%s/postgres?sslmode=disable&connect_timeout=2", s.port)
	s.Resume()
	t.Cleanup(s.Stop)
	return s
}

// Resume starts the server again.
func (s *Server) Resume() {
	s.t.Helper()
	s.as("pg_ctl", "-D", s.dir+"/data", "-l", s.dir+"/log", "-w", "-s", "start",
		"-o", fmt.Sprintf("-c listen_addresses=127.0.0.1 -p %s -k %s -c max_connections=200 -c shared_buffers=64MB", s.port, s.dir))
}

// Hang stops every process of the server as it is, or lets them go on. Clients see
// a connection on which nothing happens.
func (s *Server) Hang(on bool) {
	s.t.Helper()
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	text, err := os.ReadFile(s.dir + "/data/postmaster.pid")
	if err != nil {
		s.t.Fatal(err)
	}
	main, _, _ := strings.Cut(string(text), "\n")
	children, err := os.ReadFile("/proc/" + main + "/task/" + main + "/children")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range append(strings.Fields(string(children)), main) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = syscall.Kill(n, signal) // one that has ended meanwhile needs none
	}
}

// Stop ends the server without waiting for anybody, as a crash would.
func (s *Server) Stop() {
	s.t.Helper()
	if _, err := os.Stat(s.dir + "/data/postmaster.pid"); err != nil {
		return // stopped already
	}
	s.as("pg_ctl", "-D", s.dir+"/data", "-m", "immediate", "-s", "-w", "stop")
}

// as runs a program of PostgreSQL as the user that may.
func (s *Server) as(program string, args ...string) {
	s.t.Helper()
	full := append([]string{filepath.Join(s.bin, program)}, args...)
	if os.Getuid() == 0 {
		full = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env", "HOME=" + s.dir}, full...)
	}
	s.command(full[0], full[1:]...)
}

func (s *Server) command(name string, args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	// Not a pipe: the server would keep it open.
	log, err := os.CreateTemp(s.dir, "out")
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, text)
	}
}
