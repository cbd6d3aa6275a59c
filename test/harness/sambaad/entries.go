//go:build linux

package sambaad

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"unicode/utf16"

	goldap "github.com/go-ldap/ldap/v3"
)

// connect binds as the domain's administrator.
func (c *Controller) connect() {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CA))
	conn, err := goldap.DialURL("ldaps://"+c.Secure, goldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Bind(adminDN, adminPassword); err != nil {
		c.t.Fatal(err)
	}
	c.admin = conn
}

// UserDN returns the DN of a user.
func UserDN(name string) string { return "CN=" + goldap.EscapeDN(name) + "," + PeopleDN }

// GroupDN returns the DN of a group.
func GroupDN(name string) string { return "CN=" + goldap.EscapeDN(name) + "," + GroupsDN }

// AddUser adds a user with Password and a mail address.
func (c *Controller) AddUser(name string) {
	c.t.Helper()
	c.add(UserDN(name), map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {name}, "userPrincipalName": {name + "@" + Realm},
		"displayName": {"The user " + name}, "mail": {name + "@example.test"},
		"userAccountControl": {"512"}, "unicodePwd": {quoted(Password)},
	})
}

// AddGroup adds a group with members, which are DNs.
func (c *Controller) AddGroup(name, account string, members ...string) {
	c.t.Helper()
	attributes := map[string][]string{"objectClass": {"group"}, "sAMAccountName": {account}}
	if len(members) > 0 {
		attributes["member"] = members
	}
	c.add(GroupDN(name), attributes)
}

func (c *Controller) add(dn string, attributes map[string][]string) {
	c.t.Helper()
	req := goldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		req.Attribute(name, values)
	}
	if err := c.admin.Add(req); err != nil {
		c.t.Fatalf("adding %s: %v", dn, err)
	}
}

// Replace sets an attribute of an entry.
func (c *Controller) Replace(dn, attribute string, values ...string) {
	c.t.Helper()
	req := goldap.NewModifyRequest(dn, nil)
	req.Replace(attribute, values)
	if err := c.admin.Modify(req); err != nil {
		c.t.Fatalf("changing %s of %s: %v", attribute, dn, err)
	}
}

// Rename gives an entry another common name.
func (c *Controller) Rename(dn, name string) {
	c.t.Helper()
	if err := c.admin.ModifyDN(goldap.NewModifyDNRequest(dn, "CN="+goldap.EscapeDN(name), true, "")); err != nil {
		c.t.Fatalf("renaming %s: %v", dn, err)
	}
}

// Delete removes an entry.
func (c *Controller) Delete(dn string) {
	c.t.Helper()
	if err := c.admin.Del(goldap.NewDelRequest(dn, nil)); err != nil {
		c.t.Fatalf("deleting %s: %v", dn, err)
	}
}

// Read returns the octets of an attribute.
func (c *Controller) Read(dn, attribute string) []byte {
	c.t.Helper()
	res, err := c.admin.Search(goldap.NewSearchRequest(dn, goldap.ScopeBaseObject, goldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{attribute}, nil))
	if err != nil {
		c.t.Fatalf("reading %s: %v", dn, err)
	}
	return res.Entries[0].GetRawAttributeValue(attribute)
}

// quoted is how unicodePwd takes a password: in quotation marks, as UTF-16.
func quoted(password string) string {
	var octets []byte
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		octets = binary.LittleEndian.AppendUint16(octets, unit)
	}
	return string(octets)
}
