package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
)

// sample is how many entries are counted, and samples how many are named.
const (
	sample  = 100
	samples = 3
)

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	opened, err := c.Open(ctx, env)
	directory, ok := opened.(*Connector)
	if err != nil || !ok {
		return nil // the form says what is wrong
	}
	answering := 0
	for _, host := range c.Hosts {
		if directory.checkHost(ctx, run, host) {
			answering++
		}
	}
	if answering == 0 {
		run.Skip("Bind", "Find people", "Find groups")
		return run.Findings()
	}
	directory.checkSearches(ctx, run)
	return run.Findings()
}

func (c *Connector) checkHost(ctx context.Context, run *probe.Run, host string) bool {
	name, port := c.dialer.split(host)
	if !run.Reach(ctx, name, port) {
		return false
	}
	if c.cfg.Security == SecurityLDAPS {
		return run.TLS(ctx, name, port, c.dialer.tls.RootCAs)
	}
	step := "Start TLS with " + name
	if c.cfg.Security == SecurityNone {
		step = "Speak LDAP with " + name
	}
	return run.Step(ctx, step, func(ctx context.Context) (string, error) {
		conn, err := c.dialer.connect(ctx, host)
		if err != nil {
			return "", explain(err)
		}
		return "good", conn.Close()
	})
}

func (c *Connector) checkSearches(ctx context.Context, run *probe.Run) {
	var conn *goldap.Conn
	who := "Bind as " + c.cfg.BindDN
	if c.cfg.BindDN == "" {
		who = "Search without an account"
	}
	if !run.Step(ctx, who, func(context.Context) (string, error) {
		bound, err := c.bindService(ctx)
		conn = bound
		return "accepted", explain(err)
	}) {
		run.Skip("Find people", "Find groups")
		return
	}
	defer func() { _ = conn.Close() }()
	user := c.cfg.UserSearch
	c.checkUsers(ctx, run, conn)
	if group := c.cfg.GroupSearch; group.BaseDN != "" {
		run.Step(ctx, "Find groups", func(ctx context.Context) (string, error) {
			return c.count(ctx, conn, query{base: group.BaseDN, filter: orAll(group.Filter), attrs: []string{group.NameAttr}, limit: sample, sample: true}, "group")
		})
	} else if c.cfg.GroupSearch.MemberOfAttr == "" {
		run.Warn("Find groups", "No groups are read.", "Set the base DN of groups, or rules can only name people. Users are searched in "+user.BaseDN+".")
	}
}

func (c *Connector) checkUsers(ctx context.Context, run *probe.Run, conn *goldap.Conn) {
	user := c.cfg.UserSearch
	run.Step(ctx, "Find people", func(ctx context.Context) (string, error) {
		return c.count(ctx, conn, query{base: user.BaseDN, filter: "(&" + orAll(user.Filter) + "(" + user.UsernameAttr + "=*))", attrs: []string{user.UsernameAttr}, limit: sample, sample: true}, "person")
	})
	run.Step(ctx, "Read the ID attribute", func(ctx context.Context) (string, error) {
		entries, err := c.search(ctx, conn, query{base: user.BaseDN, filter: "(&" + orAll(user.Filter) + "(" + user.UsernameAttr + "=*))", attrs: []string{user.IDAttr}, limit: 1, sample: true})
		if err != nil {
			return "", explain(err)
		}
		if len(entries) == 0 || len(entries[0].GetEqualFoldRawAttributeValue(user.IDAttr)) == 0 {
			return "", &probe.FaultError{Cause: "People have no attribute " + user.IDAttr + ", or the service account may not read it.", Remedy: "Choose another ID attribute: entryUUID (OpenLDAP), objectGUID (Active Directory), ipaUniqueID (FreeIPA), nsUniqueId (389 DS)."}
		}
		return user.IDAttr, nil
	})
}

// count says how many entries a search finds, and names some. It tells a base DN
// that does not exist from one without matching entries.
func (c *Connector) count(ctx context.Context, conn *goldap.Conn, q query, noun string) (string, error) {
	base := goldap.NewSearchRequest(q.base, goldap.ScopeBaseObject, goldap.NeverDerefAliases, 1, int(c.dialer.timeout.Seconds()), false, "(objectClass=*)", []string{"1.1"}, nil)
	if _, err := conn.Search(base); err != nil {
		return "", explainBase(q.base, err)
	}
	entries, err := c.search(ctx, conn, q)
	if err != nil {
		return "", explain(err)
	}
	if len(entries) == 0 {
		return "", &probe.FaultError{Cause: "No " + noun + " below " + q.base + " matches " + q.filter + ".", Remedy: "Check the base DN, the filter and the attribute names, and what the service account may read."}
	}
	var names []string
	for _, e := range entries[:min(samples, len(entries))] {
		names = append(names, e.GetEqualFoldAttributeValue(q.attrs[0]))
	}
	number := fmt.Sprint(len(entries))
	if len(entries) >= sample {
		number = "at least " + number
	}
	return number + " found, such as " + strings.Join(names, ", "), nil
}

func orAll(filter string) string {
	if filter == "" {
		return "(objectClass=*)"
	}
	return filter
}

func explainBase(base string, err error) error {
	if goldap.IsErrorAnyOf(err, goldap.LDAPResultNoSuchObject, goldap.LDAPResultInvalidDNSyntax) {
		remedy := "Check the spelling."
		if fault, ok := errors.AsType[*goldap.Error](err); ok && fault.MatchedDN != "" {
			remedy = "The directory knows " + fault.MatchedDN + ", and nothing of that name below it."
		}
		return &probe.FaultError{Cause: "There is no entry " + base + ".", Remedy: remedy}
	}
	return explain(err)
}

// adCode finds Active Directory's own reason in a refused bind.
var adCode = regexp.MustCompile(`data ([0-9a-f]{3}),`)

// explain gives the directory's own errors words.
func explain(err error) error {
	fault, ok := errors.AsType[*goldap.Error](err)
	if err == nil || !ok {
		return err
	}
	var say probe.FaultError
	switch fault.ResultCode {
	case goldap.LDAPResultInvalidCredentials:
		say = probe.FaultError{Cause: "The directory refused the bind DN or its password" + adReason(fault) + ".", Remedy: "Check both. Active Directory also takes NAME@DOMAIN."}
	case goldap.LDAPResultNoSuchObject, goldap.LDAPResultInvalidDNSyntax:
		say = probe.FaultError{Cause: "The bind DN is no entry of this directory.", Remedy: "Write it in full, such as cn=fairlead,ou=services,dc=example,dc=com."}
	case goldap.LDAPResultInsufficientAccessRights, goldap.LDAPResultOperationsError, goldap.LDAPResultInappropriateAuthentication:
		say = probe.FaultError{Cause: "The directory does not let this account search.", Remedy: "Set a bind DN, or give the service account the right to read."}
	case goldap.LDAPResultConfidentialityRequired, goldap.LDAPResultStrongAuthRequired:
		say = probe.FaultError{Cause: "The directory wants a protected connection.", Remedy: "Choose StartTLS or LDAPS."}
	case goldap.LDAPResultProtocolError, goldap.LDAPResultUnavailable:
		say = probe.FaultError{Cause: "The directory can't start TLS on this port.", Remedy: "Use LDAPS on port 636, or switch TLS on in the directory."}
	case goldap.LDAPResultSizeLimitExceeded, goldap.LDAPResultAdminLimitExceeded:
		say = probe.FaultError{Cause: "The directory cut its answer: more entries match than it gives to the service account.", Remedy: "Raise the account's limit (“limits” in OpenLDAP, nsSizeLimit and nsLookThroughLimit in 389 Directory Server), or use a narrower base DN or filter."}
	case goldap.LDAPResultReferral:
		say = probe.FaultError{Cause: "The directory refers this search to another server.", Remedy: "Name that server, search another base DN, or let Fairlead follow referrals."}
	case goldap.LDAPResultTimeLimitExceeded:
		say = probe.FaultError{Cause: "The directory needs too long for this search.", Remedy: "Use a narrower base DN, or have the attributes indexed."}
	case goldap.ErrorNetwork:
		if strings.Contains(fault.Err.Error(), "timed out") {
			return context.DeadlineExceeded
		}
		return fault.Err
	default:
		return err
	}
	return &say
}

// adReason says why Active Directory refuses the service account.
func adReason(fault *goldap.Error) string {
	found := adCode.FindStringSubmatch(fault.Err.Error())
	if found == nil {
		return ""
	}
	if refused, ok := adRefusals[found[1]]; ok {
		return " (" + strings.ReplaceAll(refused.code, "_", " ") + ")"
	}
	return map[string]string{"525": " (there is no such account)", "52e": " (wrong password)"}[found[1]]
}

var _ connectors.Lookuper = (*Connector)(nil)

// Lookup finds a person as the service account.
func (c *Connector) Lookup(ctx context.Context, username string) (connectors.Lookup, error) {
	conn, err := c.bindService(ctx)
	if err != nil {
		return connectors.Lookup{}, explain(err)
	}
	defer func() { _ = conn.Close() }()
	entry, err := c.findNamed(ctx, conn, username)
	if err != nil {
		return connectors.Lookup{}, explain(err)
	}
	found := connectors.Lookup{Attributes: map[string][]string{"dn": {entry.DN}}}
	for _, attribute := range entry.Attributes {
		found.Attributes[attribute.Name] = printable(attribute)
	}
	found.Identity, err = c.identity(ctx, conn, entry)
	if err != nil {
		found.Notes = append(found.Notes, err.Error())
	}
	if found.Identity.Email == "" {
		found.Notes = append(found.Notes, "The person has no "+c.cfg.UserSearch.EmailAttr+": rules for domains don't cover them.")
	}
	if len(found.Identity.Groups) == 0 {
		found.Notes = append(found.Notes, "No group was found: check the base DN, the member attribute and the member value.")
	}
	return found, nil
}

func printable(attribute *goldap.EntryAttribute) []string {
	values := make([]string, 0, len(attribute.ByteValues))
	for _, raw := range attribute.ByteValues {
		values = append(values, printableID(attribute.Name, raw))
	}
	return values
}

// split returns a host and its port, or the port that goes with the security.
func (d *dialer) split(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err == nil {
		return name, port
	}
	return host, map[bool]string{true: "636", false: "389"}[d.security == SecurityLDAPS]
}
