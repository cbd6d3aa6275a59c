// Package e2e_test drives the built programs against real parts: kube-apiserver,
// etcd, kubectl, slapd, PostgreSQL, Chromium.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/realkube"
)

// parts is what "make test" provides.
type parts struct {
	// bin has our programs, kube the Kubernetes ones.
	bin, kube string
}

func needParts(t *testing.T) parts {
	t.Helper()
	return parts{
		bin:  prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs"),
		kube: prerequisite.Variable(t, "FAIRLEAD_TEST_KUBE", "kube-apiserver"),
	}
}

// hashed is the password "fairlead-demo", hashed once.
func hashed(t *testing.T) string {
	t.Helper()
	hash, err := password.NewHasher().Hash(t.Context(), "fairlead-demo")
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// tail keeps what a program wrote, for the case that a test fails.
type tail struct {
	// kill ends the process as a crash does, stop as an operator does.
	kill, stop func()
	mu         sync.Mutex
	buf        bytes.Buffer
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// start runs a program until the test ends and returns its output.
func start(t *testing.T, name string, env []string, args ...string) *tail {
	t.Helper()
	out := &tail{}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end := func(signal os.Signal) {
		once.Do(func() {
			_ = cmd.Process.Signal(signal)
			done := make(chan struct{})
			go func() { _ = cmd.Wait(); close(done) }()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				_ = cmd.Process.Kill()
				<-done
			}
		})
	}
	out.kill, out.stop = func() { end(os.Kill) }, func() { end(os.Interrupt) }
	t.Cleanup(func() {
		end(os.Interrupt)
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out)
		}
	})
	return out
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func eventually(t *testing.T, what string, within time.Duration, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for time.Now().Before(deadline) {
		if check() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within %v", what, within)
}

func writeFile(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// system is a server, clusters and their proxies.
type system struct {
	parts
	dir     string
	ca      *pki.CA
	issuer  string
	server  *tail
	proxies map[string]*tail
	kube    *realkube.Cluster
	client  *http.Client
	// proxyExtra is added to the configuration of proxies.
	proxyExtra string
	// warm are API servers that have the issuer's keys.
	warm map[*realkube.Cluster]bool
}

// prepare makes certificates and chooses an address. It is https, because API
// servers take no other issuer.
func prepare(t *testing.T, p parts) *system {
	t.Helper()
	s := &system{parts: p, dir: t.TempDir(), proxies: map[string]*tail{}, warm: map[*realkube.Cluster]bool{}}
	var err error
	if s.ca, err = pki.NewCA("e2e", time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := s.ca.Server(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pair.Write(s.dir, "tls"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.dir+"/ca.crt", string(s.ca.PEM))
	listen := freeAddress(t)
	s.issuer = "https://" + listen
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig(s.ca)}}
	return s
}

func (s *system) run(t *testing.T, listen, extra string) {
	t.Helper()
	file := writeFile(t, s.dir+"/fairlead.yaml", fmt.Sprintf(`url: %s
listen: %s
tls: {certificate: %[3]s/tls.crt, key: %[3]s/tls.key}
issuerCA: file:%[3]s/ca.crt
database: {driver: sqlite, path: %[3]s/fairlead.db, maxConnections: 1}
upstream: {maxAge: 1ms}
%s`, s.issuer, listen, s.dir, extra))
	s.server = start(t, s.bin+"/fairlead", nil, "serve", "--config", file)
	s.waitReady(t)
}

func (s *system) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, "server", 30*time.Second, func() bool {
		resp, err := s.client.Get(s.issuer + "/keys")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// startKube runs a real API server.
func (s *system) startKube(t *testing.T, authentication []byte) {
	t.Helper()
	s.startKubeAs(t, realkube.Config{AuthenticationConfig: authentication})
}

func (s *system) startKubeAs(t *testing.T, cfg realkube.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var err error
	cfg.Bin, cfg.Dir, cfg.Commands = s.parts.kube, t.TempDir(), true
	s.kube, err = realkube.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kube.Stop)
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-rbac.yaml"))
	s.apply(t, readFile(t, "testdata/demo.yaml"))
	eventually(t, "pod", 30*time.Second, func() bool {
		out, err := s.kube.Kubectl(t.Context(), "", "get", "pod", "-n", "demo", "hello", "-o", "jsonpath={.status.phase}")
		return err == nil && out == "Running"
	})
}

func (s *system) apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := s.kube.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// serviceAccount returns a kubeconfig with the token of the proxy's service
// account in a file, as it is in a pod.
func (s *system) serviceAccount(t *testing.T) string {
	t.Helper()
	s.apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: fairlead}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: fairlead-proxy, namespace: fairlead}\n")
	token, err := s.kube.Kubectl(t.Context(), "", "create", "token", "-n", "fairlead", "fairlead-proxy")
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, s.dir+"/service-account-token", strings.TrimSpace(token))
	kubeconfig, err := s.kube.Kubeconfig("service-account", &api.AuthInfo{TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// startProxy runs a proxy for a cluster at an address, before the real API
// server. Without credentials it has a client certificate.
func (s *system) startProxy(t *testing.T, cluster, listen, credentials string) {
	t.Helper()
	if credentials == "" {
		var err error
		if credentials, err = s.kube.ClientKubeconfig("proxy-"+cluster, "fairlead-proxy"); err != nil {
			t.Fatal(err)
		}
	}
	health := freeAddress(t)
	authority, env := ", ca: "+s.dir+"/ca.crt", []string(nil)
	if cluster == "b" { // this one trusts whom its system trusts
		authority, env = "", []string{"SSL_CERT_FILE=" + s.dir + "/ca.crt"}
	}
	file := writeFile(t, s.dir+"/proxy-"+cluster+".yaml", fmt.Sprintf(`listen: %s
tls: {certificate: %[2]s/tls.crt, key: %[2]s/tls.key}
state: %[2]s/state-%[3]s
server: {url: %[4]s%[8]s}
upstream: {kubeconfig: %[5]s}
health: {listen: %[6]s}
drainTimeout: 2s
%[7]s`, listen, s.dir, cluster, s.issuer, credentials, health, s.proxyExtra, authority))
	s.proxies[cluster] = start(t, s.bin+"/fairlead-proxy", env, "serve", "--config", file, "--enrol", s.operate(t, "admin", "proxy-code", cluster))
	eventually(t, "proxy "+cluster, 30*time.Second, func() bool {
		resp, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// operate runs a command of the server's operator and returns what it said.
func (s *system) operate(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.bin+"/fairlead", append(args, "--config", s.dir+"/fairlead.yaml")...)
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, faults.String())
	}
	return strings.TrimSpace(string(out))
}

// person is the computer of a user: a home of its own, kubectl and the plugin on the PATH, and a browser that
// signs in by itself.
type person struct {
	t    *testing.T
	s    *system
	home string
	env  []string
}

func (s *system) person(t *testing.T, login credentials) *person {
	t.Helper()
	home := t.TempDir()
	script := writeFile(t, home+"/browser", fmt.Sprintf("#!/bin/sh\nexec %s \"$1\"\n", quote(browserProgram(t))))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	description, err := json.Marshal(login)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, s: s, home: home, env: []string{
		"HOME=" + home, "XDG_CACHE_HOME=" + home + "/cache", "PATH=" + s.bin + ":" + s.parts.kube + ":" + os.Getenv("PATH"),
		"KUBECONFIG=" + home + "/kubeconfig", "BROWSER=" + script, "SSL_CERT_FILE=" + s.dir + "/ca.crt", "FAIRLEAD_KEYRING=off",
		"FAIRLEAD_TEST_LOGIN=" + string(description), "FAIRLEAD_TEST_BROWSER_LOG=" + home + "/browser.log", "CI=",
	}}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// result is what a program did.
type result struct {
	out, err string
	code     int
}

func (p *person) run(stdin string, name string, args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 90*time.Second)
	defer cancel()
	return p.runContext(ctx, stdin, name, args...)
}

func (p *person) runContext(ctx context.Context, stdin, name string, args ...string) result {
	p.t.Helper()
	cmd := p.command(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	r := result{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
	if err != nil && r.code < 0 {
		r.err += err.Error()
	}
	return r
}

func (p *person) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	for _, dir := range []string{p.s.bin, p.s.parts.kube} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			name = filepath.Join(dir, name)
			break
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

func (p *person) must(name string, args ...string) string {
	p.t.Helper()
	r := p.run("", name, args...)
	if r.code != 0 {
		p.t.Fatalf("%s %s: exit %d\n%s%s", name, strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// kubectl runs kubectl and wants it to work.
func (p *person) kubectl(args ...string) string {
	p.t.Helper()
	return p.must("kubectl", args...)
}

// tabs is how many browser tabs were opened.
func (p *person) tabs() int {
	p.t.Helper()
	text, err := os.ReadFile(p.home + "/browser.log")
	if err != nil {
		return 0
	}
	return strings.Count(string(text), "\n")
}

// browserFault is what went wrong in the browser, for messages.
func (p *person) browserFault() string {
	text, err := os.ReadFile(p.home + "/browser.log.fault")
	if err != nil {
		return ""
	}
	return string(text)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
