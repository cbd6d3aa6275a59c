// Command demo runs Fairlead on loopback for a first look: the server, one proxy, and
// a real Kubernetes API server that is built from source the first time. It is not
// for production.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo: "+err.Error())
		os.Exit(1) //nolint:gocritic // the program ends; stop has nothing left to do
	}
	fmt.Println("Stopped. The demo keeps its data in .fairlead/ for the next run.")
}

// demo holds the addresses and folders of the demo.
type demo struct {
	dir, bin, root   string
	address, proxyAt string
	status           *status
}

func run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d := &demo{
		dir: env("FAIRLEAD_DEMO_DIR", ".fairlead"), bin: filepath.Dir(self), root: filepath.Dir(filepath.Dir(self)),
		address: "localhost:" + env("FAIRLEAD_DEMO_PORT", "8080"), proxyAt: "127.0.0.1:" + env("FAIRLEAD_DEMO_PROXY_PORT", "8443"),
		status: &status{doing: "beginning"},
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	for _, address := range []string{d.address, d.proxyAt} {
		if err := free(address); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	statusURL, err := d.status.serve(ctx, group)
	if err != nil {
		return err
	}
	if err := d.writeConfig(ctx, statusURL); err != nil {
		return err
	}
	group.Go(func() error { return d.program(ctx, "fairlead", "serve", "--config", d.path("fairlead.yaml")) })
	if err := d.waitServer(ctx); err != nil {
		return errors.Join(err, group.Wait())
	}
	d.greet()
	group.Go(func() error { return d.cluster(ctx) })
	return group.Wait()
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func free(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%s is in use by another program. Stop it, or choose other ports with FAIRLEAD_DEMO_PORT and FAIRLEAD_DEMO_PROXY_PORT", address)
	}
	return ln.Close()
}

// program runs one of ours until ctx ends.
func (d *demo) program(ctx context.Context, name string, args ...string) error {
	log, err := os.OpenFile(d.path(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	// In a group of its own: Ctrl-C reaches us, and we tell it in our own order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%s ended (%w). Its log: %s", name, err, log.Name())
}

func (d *demo) waitServer(ctx context.Context) error {
	for range 300 {
		conn, err := net.DialTimeout("tcp", d.address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server did not start. Its log: %s", d.path("fairlead.log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("the server does not answer. Its log: %s", d.path("fairlead.log"))
}

func (d *demo) greet() {
	fmt.Printf(`
Fairlead is up:   http://%s

  jane@example.test    a developer: sees the pods of the namespace demo
  admin@example.test   an admin: sees everything
  Password of both:    fairlead-demo

The demo cluster is starting. The page shows how far it is. When it is ready:

  export PATH=%s:$PATH
  kubectl fairlead login http://%s
  kubectl get pods -n demo

Ctrl-C stops everything.

`, d.address, d.bin, d.address)
}
