//go:build linux

// Package sambaad runs a real Active Directory domain controller for tests: Samba,
// provisioned in a temporary folder, with LDAP only, in a network namespace of its own.
// To provision takes about six seconds, so tests share a controller. It needs root.
package sambaad

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/test/harness/netns"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// The domain and its credentials.
const (
	Realm    = "corp.example.test"
	BaseDN   = "DC=corp,DC=example,DC=test"
	PeopleDN = "OU=People," + BaseDN
	GroupsDN = "OU=Groups," + BaseDN
	// ServiceName is an account that may only read. Password is its and everybody's.
	ServiceName = "svc-fairlead@" + Realm
	Password    = "Correct-horse-1"

	adminDN       = "CN=Administrator,CN=Users," + BaseDN
	adminPassword = "Root-secret-1"
	startWithin   = 30 * time.Second
)

// Controller is a running domain controller.
type Controller struct {
	t testing.TB
	// Plain takes StartTLS and Secure takes LDAPS, both "127.0.0.1:port".
	Plain, Secure string
	// CA is the PEM of the authority that signed the controller's certificate.
	CA    string
	admin *goldap.Conn
}

// Start provisions a domain and runs its controller until the test ends. The domain
// has the service account and two empty organizational units.
func Start(t testing.TB) *Controller {
	t.Helper()
	samba, tool := prerequisite.Program(t, "samba", "/usr/sbin/samba"), prerequisite.Program(t, "samba-tool")
	n := netns.New(t)
	dir := t.TempDir()
	c := &Controller{t: t}
	c.provision(tool, dir)
	c.writeFiles(dir)
	c.run(n, samba, dir)
	c.Plain, c.Secure = n.Forward(t, "389"), n.Forward(t, "636")
	c.connect()
	for _, unit := range []string{PeopleDN, GroupsDN} {
		c.add(unit, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	c.AddUser("svc-fairlead")
	return c
}

func (c *Controller) provision(tool, dir string) {
	c.t.Helper()
	cmd := exec.Command(tool, "domain", "provision", "--realm="+Realm, "--domain=CORP", "--host-name=dc1", "--host-ip=127.0.0.1",
		"--adminpass="+adminPassword, "--dns-backend=NONE", "--targetdir="+dir)
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("provisioning the domain: %v\n%s", err, out)
	}
}

// environment lets the controller's databases not wait for the disk.
func environment() []string { return append(os.Environ(), "TDB_NO_FSYNC=1") }

const config = `[global]
netbios name = DC1
realm = ` + Realm + `
workgroup = CORP
server role = active directory domain controller
server services = ldap
private dir = %[1]s/private
state directory = %[1]s/state
cache directory = %[1]s/cache
lock directory = %[1]s
pid directory = %[1]s
ncalrpc dir = %[1]s/ncalrpc
tls cafile = %[1]s/ca.crt
tls certfile = %[1]s/tls.crt
tls keyfile = %[1]s/tls.key
`

func (c *Controller) writeFiles(dir string) {
	c.t.Helper()
	ca, err := pki.NewCA("sambaad", time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	if _, _, err := pair.Write(dir, "tls"); err != nil {
		c.t.Fatal(err)
	}
	c.CA = string(ca.PEM)
	for name, text := range map[string]string{"ca.crt": c.CA, "ldap.conf": fmt.Sprintf(config, dir)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// run starts the controller. It ends itself when its standard input closes, so that
// it never outlives the test.
func (c *Controller) run(n *netns.Namespace, samba, dir string) {
	c.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(samba, "--interactive", "--model=single", "--debug-stdout", "--configfile="+filepath.Join(dir, "ldap.conf"))
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, environment()
	if _, err := cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := n.Do(cmd.Start); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := n.Wait("636", startWithin); err != nil {
		c.t.Fatalf("%v\n%s", err, &out)
	}
}
