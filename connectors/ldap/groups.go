package ldap

import (
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
)

// group is a group that was found.
type group struct{ dn, name string }

// groups returns the names of the person's groups, nested ones included.
func (c *Connector) groups(conn *goldap.Conn, user *goldap.Entry) ([]string, error) {
	if c.cfg.GroupSearch.BaseDN == "" && c.cfg.GroupSearch.MemberOfAttr == "" {
		return nil, nil
	}
	level, err := c.direct(conn, user)
	if err != nil {
		return nil, fmt.Errorf("searching groups: %w", err)
	}
	var names []string
	seen := map[string]bool{}
	for depth := 0; len(level) > 0; depth++ {
		var fresh []group
		for _, g := range level {
			if key := strings.ToLower(g.dn); !seen[key] { // groups may contain each other
				seen[key] = true
				names, fresh = append(names, g.name), append(fresh, g)
			}
		}
		if len(names) > connectors.MaxGroups {
			return names, nil // the caller refuses that many and says so
		}
		if depth == c.cfg.GroupSearch.NestedDepth {
			break
		}
		if level, err = c.parents(conn, fresh); err != nil {
			return nil, fmt.Errorf("searching nested groups: %w", err)
		}
	}
	return names, nil
}

func (c *Connector) direct(conn *goldap.Conn, user *goldap.Entry) ([]group, error) {
	s := c.cfg.GroupSearch
	if s.MemberOfAttr != "" {
		return c.named(conn, user.GetAttributeValues(s.MemberOfAttr))
	}
	values := []string{user.DN}
	if !strings.EqualFold(s.UserAttr, "dn") {
		values = user.GetAttributeValues(s.UserAttr)
	}
	return c.containing(conn, values)
}

// parents returns the groups that the given ones are in.
func (c *Connector) parents(conn *goldap.Conn, groups []group) ([]group, error) {
	var dns []string
	for _, g := range groups {
		dns = append(dns, g.dn)
	}
	if c.cfg.GroupSearch.MemberOfAttr == "" {
		return c.containing(conn, dns)
	}
	var parents []string
	for _, dn := range dns {
		entries, err := c.search(conn, query{base: dn, entryOnly: true, filter: "(objectClass=*)", attrs: []string{c.cfg.GroupSearch.MemberOfAttr}})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			parents = append(parents, e.GetAttributeValues(c.cfg.GroupSearch.MemberOfAttr)...)
		}
	}
	return c.named(conn, parents)
}

// containing searches the groups that list one of the values as a member, some
// values at a time.
func (c *Connector) containing(conn *goldap.Conn, values []string) ([]group, error) {
	const batch = 50
	s := c.cfg.GroupSearch
	var found []group
	for len(values) > 0 {
		n := min(batch, len(values))
		var anyOf strings.Builder
		for _, v := range values[:n] {
			fmt.Fprintf(&anyOf, "(%s=%s)", s.MemberAttr, goldap.EscapeFilter(v))
		}
		values = values[n:]
		entries, err := c.search(conn, query{
			base: s.BaseDN, filter: "(&" + s.Filter + "(|" + anyOf.String() + "))", attrs: []string{s.NameAttr}, limit: connectors.MaxGroups + 1,
		})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found = append(found, group{dn: e.DN, name: e.GetAttributeValue(s.NameAttr)})
		}
	}
	return found, nil
}

// named looks the groups up whose names are needed. A group outside the base DN
// or the filter doesn't count.
func (c *Connector) named(conn *goldap.Conn, dns []string) ([]group, error) {
	s := c.cfg.GroupSearch
	filter := s.Filter
	if filter == "" {
		filter = "(objectClass=*)"
	}
	var found []group
	for _, dn := range dns {
		if !under(dn, s.BaseDN) {
			continue
		}
		entries, err := c.search(conn, query{base: dn, entryOnly: true, filter: filter, attrs: []string{s.NameAttr}})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found = append(found, group{dn: e.DN, name: e.GetAttributeValue(s.NameAttr)})
		}
	}
	return found, nil
}

func under(dn, base string) bool {
	if base == "" {
		return true
	}
	child, errChild := goldap.ParseDN(dn)
	parent, errParent := goldap.ParseDN(base)
	return errChild == nil && errParent == nil && parent.AncestorOfFold(child)
}
