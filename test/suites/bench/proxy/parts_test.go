package proxybench_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/test/harness/jws"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// bench is everything that is measured.
type bench struct {
	dir     string
	keys    string // as a JWKS
	key     *rsa.PrivateKey
	issuer  *httptest.Server
	fetches atomic.Int64 // of keys
	token   string
}

// part is a process in between, or the API server itself.
type part struct {
	name, address string
	health        string // where the metrics are
	cmd           *exec.Cmd
	started       time.Duration // until it answered for the first time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	var err error
	if b.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: b.key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	b.keys = string(set)
	b.issuer = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			b.fetches.Add(1)
			_, _ = w.Write(set)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": b.issuer.URL, "jwks_uri": b.issuer.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	}))
	t.Cleanup(b.issuer.Close)
	b.write(t, "issuer.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.issuer.Certificate().Raw})))
	groups := make([]string, 12)
	for i := range groups {
		groups[i] = fmt.Sprintf("corp:group-%d", i)
	}
	b.token = b.sign(t, map[string]any{
		"iss": b.issuer.URL, "aud": "k8s-bench", "sub": "usr_1", "preferred_username": "corp:jane", "groups": groups, "jti": "j", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	// RSA for the API server, as kubeadm makes it; ECDSA for what is in between.
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.certificate(t, "api", rsaKey, rsaKey.Public())
	b.certificate(t, "proxy", ecKey, ecKey.Public())
	return b
}

func (b *bench) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return jws.Sign(t, jose.RS256, b.key, "k", claims)
}

func (b *bench) certificate(t *testing.T, name string, key, public any) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	b.write(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func (b *bench) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(b.dir+"/"+name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.dir + "/" + name
}

// kubeconfig is one to the stub.
func (b *bench) kubeconfig(t *testing.T, server string) string {
	t.Helper()
	return b.write(t, "kubeconfig", fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"https://%s\", certificate-authority: %s/api.crt}}]\nusers: [{name: u, user: {token: proxy-credential}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n", server, b.dir))
}

// run starts a process and waits until it answers.
func (b *bench) run(t *testing.T, p *part) *part {
	t.Helper() // what it logs goes nowhere, but is written
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM); _ = p.cmd.Wait() })
	client := newClient(true)
	for {
		if code, _ := b.get(client, p.address, "/api/v1/namespaces/demo/pods/small"); code == http.StatusOK || code == http.StatusNotFound || code == http.StatusForbidden {
			p.started = time.Since(began)
			return p
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s does not answer", p.name)
		}
		time.Sleep(time.Millisecond)
	}
}

// own starts this program as a part.
func (b *bench) own(t *testing.T, name, kind, cert, kubeconfig string) *part {
	t.Helper()
	p := &part{name: name, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), serveVariable+"="+kind, "BENCH_CERT="+b.dir+"/"+cert+".crt", "BENCH_KEY="+b.dir+"/"+cert+".key", "BENCH_KUBECONFIG="+kubeconfig, "BENCH_KEYS="+b.keys, "BENCH_ISSUER="+b.issuer.URL)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = p.cmd.Wait() })
	buf := make([]byte, 256)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	p.address = strings.TrimSpace(string(buf[:n]))
	if _, err := b.get(newClient(true), p.address, "/api/v1/namespaces/demo/pods/small"); err != nil {
		t.Fatal(err)
	}
	p.started = time.Since(began)
	return p
}

func address(t *testing.T) string {
	t.Helper()
	a, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ours is the program as it is shipped.
func (b *bench) ours(t *testing.T, kubeconfig string) *part {
	t.Helper()
	p := &part{name: "fairlead-proxy", address: address(t), health: address(t)}
	file := b.write(t, "proxy.yaml", fmt.Sprintf("listen: %s\ntls: {certificate: %[2]s/proxy.crt, key: %[2]s/proxy.key}\naudience: k8s-bench\nissuer: {url: %q, ca: %[2]s/issuer.crt}\nupstream: {kubeconfig: %[4]s}\nhealth: {listen: %[5]s}\ndrainTimeout: 1s\nlimits: {streamsPerUser: 0}\n",
		p.address, b.dir, b.issuer.URL, kubeconfig, p.health))
	p.cmd = exec.Command(prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs")+"/fairlead-proxy", "serve", "--config", file)
	return b.run(t, p)
}

const nginxName = "nginx, no authentication"

// nginx checks nothing.
func (b *bench) nginx(t *testing.T, to string) *part {
	t.Helper()
	p := &part{name: nginxName, address: address(t)}
	file := b.write(t, "nginx.conf", fmt.Sprintf(`
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 10000; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream api { server %[4]s; keepalive 256; }
  server {
    listen %[2]s ssl http2;
    http2_max_concurrent_streams 1000;
    keepalive_requests 1000000;
    ssl_certificate %[1]s/proxy.crt;
    ssl_certificate_key %[1]s/proxy.key;
    location / {
      proxy_pass https://api;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 1h;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Impersonate-User corp:jane;
    }
  }
}
`, b.dir, p.address, "", to))
	p.cmd = exec.Command(prerequisite.Program(t, "nginx", "/usr/sbin/nginx"), "-p", b.dir, "-c", file)
	return b.run(t, p)
}

func newClient(h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols, MaxIdleConnsPerHost: 1, DisableCompression: true,
	}}
}

// newToken is one by a key that the issuer does not have.
func newToken(t *testing.T, b *bench, kid string) string {
	t.Helper()
	return jws.Sign(t, jose.RS256, b.key, kid, map[string]any{"iss": b.issuer.URL, "aud": "k8s-bench", "sub": "x", "exp": time.Now().Add(time.Hour).Unix()})
}

// authentication lets the API server take the tokens itself.
func (b *bench) authentication(t *testing.T) string {
	t.Helper()
	ca, err := os.ReadFile(b.dir + "/issuer.crt")
	if err != nil {
		t.Fatal(err)
	}
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: " + b.issuer.URL + "\n    audiences: [k8s-bench]\n    certificateAuthority: |\n      " +
		strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n      ") + "\n  claimMappings:\n    username: {claim: preferred_username, prefix: \"\"}\n    groups: {claim: groups, prefix: \"\"}\n    uid: {claim: sub}\n"
}
