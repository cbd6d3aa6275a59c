// Package ldap is the connector for LDAP directories and Active Directory, over
// LDAPS or StartTLS. A service account searches users and their groups, nested ones
// included, on the first of several hosts that answers. It adds no prefixes.
package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// How a connection is protected.
const (
	SecurityLDAPS    = "ldaps"
	SecurityStartTLS = "starttls"
	SecurityNone     = "none"
)

const (
	defaultTimeout = 5 * time.Second
	// MaxDepth is how deep groups may be nested at most.
	MaxDepth = 10
)

// Config is the settings of the connector.
type Config struct {
	// Hosts are tried in order, "host" or "host:port".
	Hosts []string `json:"hosts" yaml:"hosts"`
	// Security is "ldaps" (the default), "starttls", or "none" for loopback.
	Security string `json:"security" yaml:"security"`
	// CA is the PEM of the authorities to trust instead of the system's.
	CA string `json:"ca" yaml:"ca"`
	// BindDN and BindPassword are the account that searches.
	BindDN       string       `json:"bindDN" yaml:"bindDN"`
	BindPassword secret.Value `json:"bindPassword" yaml:"bindPassword"`
	// UsernamePrompt is what the form calls the name.
	UsernamePrompt string `json:"usernamePrompt" yaml:"usernamePrompt"`
	// FollowReferrals searches on the servers that a directory refers to as well, with
	// the same service account, protection and authorities.
	FollowReferrals bool `json:"followReferrals" yaml:"followReferrals"`
	// TimeoutSeconds bounds each step.
	TimeoutSeconds int         `json:"timeoutSeconds" yaml:"timeoutSeconds"`
	UserSearch     UserSearch  `json:"userSearch" yaml:"userSearch"`
	GroupSearch    GroupSearch `json:"groupSearch" yaml:"groupSearch"`
}

// UserSearch finds a person.
type UserSearch struct {
	BaseDN string `json:"baseDN" yaml:"baseDN"`
	// Filter is added to the search, such as "(objectClass=person)".
	Filter string `json:"filter" yaml:"filter"`
	// UsernameAttr holds what people type. Default "uid".
	UsernameAttr string `json:"usernameAttr" yaml:"usernameAttr"`
	// IDAttr never changes and is never given to another account. Default
	// "entryUUID"; "objectGUID" for Active Directory.
	IDAttr string `json:"idAttr" yaml:"idAttr"`
	// NameAttr and EmailAttr default to "cn" and "mail".
	NameAttr  string `json:"nameAttr" yaml:"nameAttr"`
	EmailAttr string `json:"emailAttr" yaml:"emailAttr"`
}

// GroupSearch finds a person's groups, in one of two directions.
type GroupSearch struct {
	// BaseDN is where groups are.
	BaseDN string `json:"baseDN" yaml:"baseDN"`
	Filter string `json:"filter" yaml:"filter"`
	// NameAttr is the group's name. Default "cn".
	NameAttr string `json:"nameAttr" yaml:"nameAttr"`
	// MemberAttr of a group names its members. Default "member".
	MemberAttr string `json:"memberAttr" yaml:"memberAttr"`
	// UserAttr is what MemberAttr holds: "dn" (the default) or an attribute of
	// the person, such as "uid" for posixGroup and memberUid.
	UserAttr string `json:"userAttr" yaml:"userAttr"`
	// MemberOfAttr, when set, reads the groups from the person instead, such as
	// "memberOf".
	MemberOfAttr string `json:"memberOfAttr" yaml:"memberOfAttr"`
	// NestedDepth is how many levels of groups in groups are followed.
	NestedDepth int `json:"nestedDepth" yaml:"nestedDepth"`
}

// Validate returns every fault and fills in defaults.
func (c *Config) Validate() []connectors.Problem {
	c.setDefaults()
	return append(c.checkConnection(), c.checkSearch()...)
}

func problem(field, format string, args ...any) connectors.Problem {
	return connectors.Problem{Field: field, Message: fmt.Sprintf(format, args...)}
}

func (c *Config) checkConnection() (problems []connectors.Problem) {
	add := func(field, format string, args ...any) { problems = append(problems, problem(field, format, args...)) }
	if len(c.Hosts) == 0 {
		add("hosts", "must not be empty. Enter at least one host, such as ldap.example.com")
	}
	for i, host := range c.Hosts {
		if strings.Contains(host, "/") || host == "" {
			add(fmt.Sprintf("hosts[%d]", i), "must be a host or host:port, not %q. Leave out ldap:// and the path", host)
		}
		if c.Security == SecurityNone && !loopback(host) {
			add("security", "must not be none, which sends passwords in clear to %s. Use ldaps or starttls", host)
		}
	}
	switch c.Security {
	case SecurityLDAPS, SecurityStartTLS, SecurityNone:
	default:
		add("security", "must be ldaps, starttls or none, not %q", c.Security)
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		add("ca", "must be a certificate in PEM format. Paste it from the line BEGIN CERTIFICATE on")
	}
	if (c.BindDN == "") != c.BindPassword.Empty() {
		add("bindPassword", "must be set if bindDN is, and only then. Set both or neither")
	}
	return problems
}

func (c *Config) checkSearch() (problems []connectors.Problem) {
	add := func(field, format string, args ...any) { problems = append(problems, problem(field, format, args...)) }
	if c.UserSearch.BaseDN == "" {
		add("userSearch.baseDN", "must not be empty. Enter the entry below which users are, such as ou=people,dc=example,dc=com")
	}
	if c.GroupSearch.NestedDepth < 0 || c.GroupSearch.NestedDepth > MaxDepth {
		add("groupSearch.nestedDepth", "must be from 0 to %d", MaxDepth)
	}
	for field, filter := range map[string]string{"userSearch.filter": c.UserSearch.Filter, "groupSearch.filter": c.GroupSearch.Filter} {
		if _, err := goldap.CompileFilter(filter); filter != "" && err != nil {
			add(field, "must be an LDAP filter. Put it in parentheses, such as (objectClass=person)")
		}
	}
	return problems
}

func (c *Config) setDefaults() {
	for value, fallback := range map[*string]string{
		&c.Security: SecurityLDAPS, &c.UsernamePrompt: "User name",
		&c.UserSearch.UsernameAttr: "uid", &c.UserSearch.IDAttr: "entryUUID", &c.UserSearch.NameAttr: "cn", &c.UserSearch.EmailAttr: "mail",
		&c.GroupSearch.NameAttr: "cn", &c.GroupSearch.MemberAttr: "member", &c.GroupSearch.UserAttr: "dn",
	} {
		if *value == "" {
			*value = fallback
		}
	}
}

func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || (ip != nil && ip.IsLoopback())
}

// Open returns the connector. It connects only at a sign-in.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, errors.New(problems[0].Field + " " + problems[0].Message)
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		tlsConfig.RootCAs = x509.NewCertPool()
		tlsConfig.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	timeout := time.Duration(c.TimeoutSeconds) * time.Second
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &Connector{cfg: *c, env: env, dialer: dialer{
		hosts: c.Hosts, security: c.Security, tls: tlsConfig, timeout: timeout, logger: env.Logger,
	}}, nil
}
