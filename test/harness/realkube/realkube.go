// Package realkube runs a real etcd, kube-apiserver and a fake kubelet on
// loopback, from the binaries that test/tools/kube/build.sh makes. Tests and the demo
// use it.
package realkube

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
)

// Config is how to run a cluster.
type Config struct {
	// Bin is the folder with the binaries.
	Bin string
	// Dir keeps data, certificates and logs. A second start with the same folder
	// goes on with the same data.
	Dir string
	// AuthenticationConfig, when set, is given to the API server.
	AuthenticationConfig []byte
	// AuditPolicy, when set, makes the API server write its audit log to Cluster.AuditLog.
	AuditPolicy []byte
	// Commands lets exec run programs on this host.
	Commands bool
	// KubeletEnv is added to the fake kubelet's environment, none by default.
	KubeletEnv []string
}

// Cluster is a running cluster.
type Cluster struct {
	cfg Config
	// URL is the API server, "https://127.0.0.1:port".
	URL string
	// CA is the PEM of the authority of every certificate here.
	CA []byte
	// Admin is a kubeconfig file with all rights.
	Admin string
	// AuditLog is the API server's audit log, if it writes one.
	AuditLog string

	ca    *pki.CA
	procs []*process
}

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Start runs a cluster and waits until it is ready, or ctx ends.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making folder: %w", err)
	}
	if err := c.certificates(); err != nil {
		return err
	}
	etcd, err := c.startEtcd()
	if err != nil {
		return err
	}
	if err := c.startAPIServer(etcd); err != nil {
		return err
	}
	if err := c.waitReady(ctx); err != nil {
		return err
	}
	return c.startKubelet()
}

func (c *Cluster) path(name string) string { return filepath.Join(c.cfg.Dir, name) }

// certificates makes everything new at each start, but for the key that signs
// service accounts' tokens.
func (c *Cluster) certificates() error {
	now := time.Now()
	ca, err := pki.NewCA("realkube", now)
	if err != nil {
		return err
	}
	c.ca, c.CA = ca, ca.PEM
	if err := os.WriteFile(c.path("ca.crt"), ca.PEM, 0o600); err != nil {
		return fmt.Errorf("writing authority: %w", err)
	}
	server, err := ca.Server(now)
	if err != nil {
		return err
	}
	for name, make := range map[string]func() (pki.Pair, error){
		"server":         func() (pki.Pair, error) { return server, nil },
		"front-proxy":    func() (pki.Pair, error) { return ca.Client(now, "front-proxy") },
		"kubelet-client": func() (pki.Pair, error) { return ca.Client(now, "apiserver-kubelet", "system:masters") },
	} {
		pair, err := make()
		if err != nil {
			return err
		}
		if _, _, err := pair.Write(c.cfg.Dir, name); err != nil {
			return err
		}
	}
	if _, err := os.Stat(c.path("sa.key")); err == nil {
		return nil
	}
	return writeKey(c.path("sa.key"))
}

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding key: %w", err)
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func (c *Cluster) startEtcd() (string, error) {
	client, err := ports.Reserve()
	if err != nil {
		return "", err
	}
	peer, err := ports.Reserve()
	if err != nil {
		return "", err
	}
	return "http://" + client, c.spawn("etcd", nil, "--data-dir", c.path("etcd"), "--listen-client-urls", "http://"+client,
		"--advertise-client-urls", "http://"+client, "--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", "default=http://"+peer, "--unsafe-no-fsync", "--log-level", "warn")
}

func (c *Cluster) startAPIServer(etcd string) error {
	address, err := ports.Reserve()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("choosing port: %w", err)
	}
	c.URL = "https://" + address
	args := []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", "--secure-port=" + port, "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.path("server.crt"), "--tls-private-key-file=" + c.path("server.key"), "--client-ca-file=" + c.path("ca.crt"),
		"--cert-dir=" + c.path("apiserver"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("sa.key"), "--service-account-signing-key-file=" + c.path("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--kubelet-client-certificate=" + c.path("kubelet-client.crt"), "--kubelet-client-key=" + c.path("kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.path("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + c.path("front-proxy.crt"), "--proxy-client-key-file=" + c.path("front-proxy.key"),
		"--requestheader-client-ca-file=" + c.path("ca.crt"), "--requestheader-allowed-names=front-proxy", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--shutdown-delay-duration=0s", "--v=1",
	}
	if len(c.cfg.AuditPolicy) > 0 {
		if err := os.WriteFile(c.path("audit-policy.yaml"), c.cfg.AuditPolicy, 0o600); err != nil {
			return fmt.Errorf("writing audit policy: %w", err)
		}
		c.AuditLog = c.path("audit.log")
		args = append(args, "--audit-policy-file="+c.path("audit-policy.yaml"), "--audit-log-path="+c.AuditLog)
	}
	if len(c.cfg.AuthenticationConfig) > 0 {
		file := c.path("authentication.yaml")
		if err := os.WriteFile(file, c.cfg.AuthenticationConfig, 0o600); err != nil {
			return fmt.Errorf("writing authentication configuration: %w", err)
		}
		args = append(args, "--authentication-config="+file)
	}
	if err := c.spawn("kube-apiserver", nil, args...); err != nil {
		return err
	}
	c.Admin, err = c.ClientKubeconfig("admin", "admin", "system:masters")
	return err
}

// ClientKubeconfig writes a kubeconfig with a client certificate for a user.
func (c *Cluster) ClientKubeconfig(name, user string, groups ...string) (string, error) {
	pair, err := c.ca.Client(time.Now(), user, groups...)
	if err != nil {
		return "", err
	}
	return c.Kubeconfig(name, &api.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key})
}

// Kubeconfig writes a kubeconfig straight to the API server.
func (c *Cluster) Kubeconfig(name string, auth *api.AuthInfo) (string, error) {
	cfg := api.NewConfig()
	cfg.Clusters["c"] = &api.Cluster{Server: c.URL, CertificateAuthorityData: c.CA}
	cfg.AuthInfos["u"] = auth
	cfg.Contexts["x"] = &api.Context{Cluster: "c", AuthInfo: "u"}
	cfg.CurrentContext = "x"
	file := c.path(name + ".kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, file); err != nil {
		return "", fmt.Errorf("writing kubeconfig: %w", err)
	}
	return file, nil
}

func (c *Cluster) startKubelet() error {
	const node = "fake"
	kubeconfig, err := c.ClientKubeconfig("kubelet", "system:node:"+node, "system:nodes")
	if err != nil {
		return err
	}
	return c.spawn("fakekubelet", c.cfg.KubeletEnv, "-kubeconfig", kubeconfig, "-node", node, "-cert", c.path("server.crt"), "-key", c.path("server.key"),
		"-client-ca", c.path("ca.crt"), fmt.Sprintf("-commands=%v", c.cfg.Commands))
}

func (c *Cluster) spawn(name string, env []string, args ...string) error {
	log, err := os.Create(c.path(name + ".log"))
	if err != nil {
		return fmt.Errorf("writing log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.cfg.Bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if len(env) > 0 {
		cmd.Env = append(os.Environ(), env...)
	}
	// In a group of its own, so that Ctrl-C in a terminal reaches us first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	c.procs = append(c.procs, p)
	return nil
}

func (c *Cluster) waitReady(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Admin)
	if err != nil {
		return fmt.Errorf("reading own kubeconfig: %w", err)
	}
	pair, err := tls.X509KeyPair(cfg.CertData, cfg.KeyData)
	if err != nil {
		return fmt.Errorf("reading own certificate: %w", err)
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: c.ca.Pool(), Certificates: []tls.Certificate{pair},
	}}}
	defer client.CloseIdleConnections()
	for {
		if resp, err := client.Get(c.URL + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		for _, p := range c.procs {
			select {
			case <-p.done:
				return fmt.Errorf("%s ended by itself:\n%s", p.name, tail(p.log))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready: %w\n%s", ctx.Err(), tail(c.path("kube-apiserver.log")))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Kubectl runs kubectl as the admin.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.cfg.Bin, "kubectl"), append([]string{"--kubeconfig", c.Admin}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), nil
}

// Stop ends everything at once: an orderly end of an API server waits a minute
// for open watches.
func (c *Cluster) Stop() {
	for _, p := range c.procs {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range c.procs {
		<-p.done
	}
}

// tailSize is how much of a log is shown, in bytes.
const tailSize = 4096

func tail(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailSize {
		_, _ = f.Seek(-tailSize, io.SeekEnd)
	}
	body, err := io.ReadAll(f)
	return string(body) + errText(err)
}

func errText(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return ""
	}
	return err.Error()
}
