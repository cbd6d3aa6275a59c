package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
)

const demoPassword = "fairlead-demo"

const serverConfig = `# Made by "make run" at each start; changes are lost.
demo: true
brand: Fairlead demo
url: http://%[1]s
listen: 127.0.0.1:%[2]s
database: {driver: sqlite, path: %[3]s/fairlead.db}
logging: {format: text}
connectors:
  - {id: local, type: local, name: Demo accounts}
localUsers:
  - login: jane@example.test
    name: Jane Doe
    email: jane@example.test
    groups: [developers]
    passwordHash: file:%[3]s/password.hash
  - login: admin@example.test
    name: Ada Admin
    email: admin@example.test
    groups: [admins]
    passwordHash: file:%[3]s/password.hash
clusters:
  - id: demo
    name: Demo cluster
    description: A real kube-apiserver on this computer
    environment: demo
    server: https://%[4]s
    ca: file:%[3]s/proxy-ca.crt
    namespace: demo
    statusURL: %[5]s
rules:
  - id: developers
    description: Developers may use the demo cluster
    who: {groups: ["local:developers", "local:admins"]}
    clusters: {ids: [demo]}
admins: {groups: ["local:admins"]}
`

const proxyConfig = `# Made by "make run" at each start; changes are lost.
listen: %[1]s
tls: {certificate: %[2]s/proxy.crt, key: %[2]s/proxy.key}
state: %[2]s/proxy
server: {url: http://%[3]s}
upstream: {kubeconfig: %[4]s}
health: {listen: "127.0.0.1:0"}
logging: {format: text}
drainTimeout: 2s
`

// writeConfig writes the server's file, and once the password's hash and the
// proxy's certificate, which downloaded kubeconfigs name.
func (d *demo) writeConfig(ctx context.Context, statusURL string) error {
	if _, err := os.Stat(d.path("password.hash")); err != nil {
		hash, err := password.NewHasher().Hash(ctx, demoPassword)
		if err != nil {
			return err
		}
		if err := os.WriteFile(d.path("password.hash"), []byte(hash), 0o600); err != nil {
			return err
		}
	}
	if _, err := os.Stat(d.path("proxy-ca.crt")); err != nil {
		if err := d.writeCertificate(); err != nil {
			return err
		}
	}
	_, port, _ := strings.Cut(d.address, ":")
	text := fmt.Sprintf(serverConfig, d.address, port, d.dir, d.proxyAt, statusURL)
	return os.WriteFile(d.path("fairlead.yaml"), []byte(text), 0o600)
}

func (d *demo) writeCertificate() error {
	ca, err := pki.NewCA("fairlead demo", time.Now())
	if err != nil {
		return err
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		return err
	}
	if _, _, err := pair.Write(d.dir, "proxy"); err != nil {
		return err
	}
	return os.WriteFile(d.path("proxy-ca.crt"), ca.PEM, 0o600)
}
