// Package slapd runs a real OpenLDAP server for tests, on loopback, with TLS.
package slapd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// The directory's entries and credentials.
const (
	BaseDN       = "dc=example,dc=test"
	RootDN       = "cn=admin," + BaseDN
	RootPassword = "root-secret"
	BindDN       = "cn=search,ou=services," + BaseDN
	BindPassword = "search-secret"
	PeopleDN     = "ou=people," + BaseDN
	GroupsDN     = "ou=groups," + BaseDN
	// Password is everybody's.
	Password = "correct horse"
)

// Directory is a running server.
type Directory struct {
	t testing.TB
	// Plain takes StartTLS and Secure takes LDAPS, both "127.0.0.1:port".
	Plain, Secure string
	// CA is the PEM of the authority that signed the server's certificate.
	CA  string
	cmd *exec.Cmd
}

// people and groups. Platform is in developers, which is in everybody; loop-a
// and loop-b contain each other.
const content = `dn: dc=example,dc=test
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=former,dc=example,dc=test
objectClass: organizationalUnit
ou: former

dn: ou=groups,dc=example,dc=test
objectClass: organizationalUnit
ou: groups

dn: ou=services,dc=example,dc=test
objectClass: organizationalUnit
ou: services

dn: cn=search,ou=services,dc=example,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: search
userPassword: search-secret

dn: uid=jane,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: jane
cn: Jane Doe
sn: Doe
mail: jane@example.test
userPassword: correct horse

dn: uid=bob,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: bob
cn: Bob Bönisch
sn: Bönisch
userPassword: correct horse

dn: cn=platform,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: platform
member: uid=jane,ou=people,dc=example,dc=test

dn: cn=developers,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: developers
member: cn=platform,ou=groups,dc=example,dc=test
member: uid=bob,ou=people,dc=example,dc=test

dn: cn=everybody,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: everybody
member: cn=developers,ou=groups,dc=example,dc=test

dn: cn=loop-a,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: loop-a
member: uid=bob,ou=people,dc=example,dc=test
member: cn=loop-b,ou=groups,dc=example,dc=test

dn: cn=loop-b,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: loop-b
member: cn=loop-a,ou=groups,dc=example,dc=test
`

const config = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'foreignAccount' AUXILIARY MAY ( userAccountControl $ accountExpires $ nsAccountLock $ primaryGroupID $ objectSid ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile %[1]s/slapd.pid
TLSCACertificateFile %[1]s/ca.crt
TLSCertificateFile %[1]s/tls.crt
TLSCertificateKeyFile %[1]s/tls.key
database mdb
suffix "dc=example,dc=test"
rootdn "cn=admin,dc=example,dc=test"
rootpw root-secret
directory %[1]s/db
dbnosync
overlay memberof
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="cn=search,ou=services,dc=example,dc=test" read by * none
`

// Start runs a filled directory until the test ends. The options are more lines of the
// database's part of slapd.conf, such as "sizelimit 50".
func Start(t testing.TB, options ...string) *Directory {
	t.Helper()
	program := prerequisite.Program(t, "slapd", "/usr/sbin/slapd")
	dir := t.TempDir()
	d := &Directory{t: t, Plain: freePort(t), Secure: freePort(t)}
	d.writeFiles(dir, options)
	var out bytes.Buffer
	d.cmd = exec.Command(program, "-h", "ldap://"+d.Plain+" ldaps://"+d.Secure, "-f", filepath.Join(dir, "slapd.conf"), "-d", "0")
	d.cmd.Stdout, d.cmd.Stderr = &out, &out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	d.waitReady(&out)
	d.run("ldapadd", content)
	return d
}

func (d *Directory) writeFiles(dir string, options []string) {
	d.t.Helper()
	ca, err := pki.NewCA("slapd", time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	if _, _, err := pair.Write(dir, "tls"); err != nil {
		d.t.Fatal(err)
	}
	d.CA = string(ca.PEM)
	for name, text := range map[string]string{"ca.crt": d.CA, "slapd.conf": fmt.Sprintf(config, dir) + strings.Join(options, "\n") + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Directory) waitReady(out *bytes.Buffer) {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", d.Plain, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Fatalf("slapd does not answer:\n%s", out)
}

// AddUser adds a person who is in no group.
func (d *Directory) AddUser(uid string) {
	d.t.Helper()
	d.run("ldapadd", fmt.Sprintf(`dn: uid=%[1]s,%[2]s
objectClass: inetOrgPerson
objectClass: shadowAccount
objectClass: foreignAccount
uid: %[1]s
cn: %[1]s
sn: %[1]s
mail: %[1]s@example.test
userPassword: %[3]s
`, uid, PeopleDN, Password))
}

// Join puts a person into a group.
func (d *Directory) Join(uid, group string) {
	d.t.Helper()
	d.Modify(fmt.Sprintf("dn: cn=%s,%s\nchangetype: modify\nadd: member\nmember: uid=%s,%s\n", group, GroupsDN, uid, PeopleDN))
}

// Replace sets an attribute of a person.
func (d *Directory) Replace(uid, attr, value string) {
	d.t.Helper()
	d.Modify(fmt.Sprintf("dn: uid=%s,%s\nchangetype: modify\nreplace: %[3]s\n%[3]s: %[4]s\n", uid, PeopleDN, attr, value))
}

// Modify applies an LDIF of changes.
func (d *Directory) Modify(ldif string) {
	d.t.Helper()
	d.run("ldapmodify", ldif)
}

// EmptyGroup takes everybody out of a group. It keeps a member that does not exist,
// because groupOfNames must have one.
func (d *Directory) EmptyGroup(group string) {
	d.t.Helper()
	d.Modify(fmt.Sprintf(`dn: cn=%s,%s
changetype: modify
replace: member
member: uid=nobody,%s
`, group, GroupsDN, PeopleDN))
}

// AddGroups makes groups named "team-0" and so on, each with one user in it.
func (d *Directory) AddGroups(n int, uid string) {
	d.t.Helper()
	var ldif strings.Builder
	for i := range n {
		fmt.Fprintf(&ldif, "dn: cn=team-%d,%s\nobjectClass: groupOfNames\ncn: team-%d\nmember: uid=%s,%s\n\n", i, GroupsDN, i, uid, PeopleDN)
	}
	d.run("ldapadd", ldif.String())
}

// AddReferral makes an entry below the groups that refers to another server (RFC 3296).
func (d *Directory) AddReferral(name, url string) {
	d.t.Helper()
	d.run("ldapadd", fmt.Sprintf("dn: cn=%s,%s\nobjectClass: referral\nobjectClass: extensibleObject\ncn: %s\nref: %s\n", name, GroupsDN, name, url))
}

// PolicyDN is the password policy that AddPolicy makes. Start needs the option
// "ppolicy_default "+PolicyDN.
const PolicyDN = "cn=policy,ou=services," + BaseDN

// AddPolicy makes a password policy with attributes such as "pwdMustChange: TRUE".
func (d *Directory) AddPolicy(attributes string) {
	d.t.Helper()
	d.run("ldapadd", "dn: "+PolicyDN+"\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n"+attributes+"\n")
}

// DeleteUser removes a person.
func (d *Directory) DeleteUser(uid string) {
	d.t.Helper()
	d.Modify(fmt.Sprintf("dn: uid=%s,%s\nchangetype: delete\n", uid, PeopleDN))
}

func (d *Directory) run(program, input string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, prerequisite.Program(d.t, program), "-x", "-H", "ldap://"+d.Plain, "-D", RootDN, "-w", RootPassword)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// Pause lets the server hang: it takes connections and answers nothing.
func (d *Directory) Pause() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
}

// Unpause lets it go on.
func (d *Directory) Unpause() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		d.t.Fatal(err)
	}
}

// Stop ends the server, as an outage would.
func (d *Directory) Stop() {
	if d.cmd.Process != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	address, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
