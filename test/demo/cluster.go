package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-auth/fairlead/test/harness/realkube"
)

//go:embed demo.yaml
var manifest string

// cluster builds the cluster if need be, runs it and the proxy before it.
func (d *demo) cluster(ctx context.Context) error {
	bin, err := d.build(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	d.status.set("starting the API server")
	ready, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	kube, err := realkube.Start(ready, realkube.Config{Bin: bin, Dir: d.path("kube")})
	if err != nil {
		return err
	}
	defer kube.Stop()
	rbac, err := os.ReadFile(filepath.Join(d.root, "deploy/kubernetes/proxy-rbac.yaml"))
	if err != nil {
		return err
	}
	for _, text := range []string{string(rbac), manifest} {
		if _, err := kube.Kubectl(ready, text, "apply", "-f", "-"); err != nil {
			return err
		}
	}
	credentials, err := kube.ClientKubeconfig("proxy", "fairlead-proxy")
	if err != nil {
		return err
	}
	text := fmt.Sprintf(proxyConfig, d.proxyAt, d.dir, d.address, credentials)
	if err := os.WriteFile(d.path("fairlead-proxy.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	linkKubectl(bin, d.bin)
	code, err := d.enrolmentCode(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return d.program(ctx, "fairlead-proxy", "serve", "--config", d.path("fairlead-proxy.yaml"), "--enrol", code)
	})
	group.Go(func() error { d.announce(ctx); return nil })
	return group.Wait()
}

// enrolmentCode returns a code for the demo's proxy, unless it has enrolled before.
func (d *demo) enrolmentCode(ctx context.Context) (string, error) {
	if _, err := os.Stat(d.path("proxy/identity.json")); err == nil {
		return "", nil
	}
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "fairlead"), "admin", "proxy-code", "demo", "--config", d.path("fairlead.yaml"))
	code, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("making an enrolment code: %w", err)
	}
	return strings.TrimSpace(string(code)), nil
}

func (d *demo) announce(ctx context.Context) {
	for ctx.Err() == nil {
		if conn, err := net.DialTimeout("tcp", d.proxyAt, time.Second); err == nil {
			_ = conn.Close()
			d.status.done()
			fmt.Println("The demo cluster is ready.")
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// linkKubectl puts a kubectl that fits beside our programs, for people who have
// none, or one that is too old for the exec protocol.
func linkKubectl(from, to string) {
	link := filepath.Join(to, "kubectl")
	_ = os.Remove(link)                                  // that of an older build
	_ = os.Symlink(filepath.Join(from, "kubectl"), link) // without it, people use their own
}

// build makes the Kubernetes programs and tells the page how far it is.
func (d *demo) build(ctx context.Context) (string, error) {
	progress := d.path("build.progress")
	_ = os.Remove(progress)
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "test/tools/kube/build.sh"))
	cmd.Env = append(os.Environ(), "FAIRLEAD_KUBE_PROGRESS="+progress)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	watching, stop := context.WithCancel(ctx)
	defer stop()
	d.status.set("fetching the source of Kubernetes")
	go d.watchBuild(watching, progress)
	out, err := cmd.Output()
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("building the demo cluster: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (d *demo) watchBuild(ctx context.Context, file string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
			if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
				count, name, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
				d.status.set("building " + name + " from source (" + strings.Replace(count, "/", " of about ", 1) + " packages)")
			}
		}
	}
}

// status answers the portal that asks how far the cluster is.
type status struct {
	mu    sync.Mutex
	ready bool
	doing string
}

func (s *status) set(doing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing = doing
}

func (s *status) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.doing = true, ""
}

func (s *status) serve(ctx context.Context, group *errgroup.Group) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": s.ready, "doing": s.doing})
	})}
	group.Go(func() error { _ = srv.Serve(ln); return nil })
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + ln.Addr().String(), nil
}
