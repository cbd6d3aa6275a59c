package ldap

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
)

// group is a group that was found.
type group struct{ dn, name string }

// groups returns the names of the user's groups, nested ones included, and those
// that are nested deeper than the settings allow.
func (c *Connector) groups(ctx context.Context, conn *goldap.Conn, user *goldap.Entry) (names []string, left []connectors.LeftOutGroup, err error) {
	if c.cfg.GroupSearch.BaseDN == "" && c.cfg.GroupSearch.MemberOfAttr == "" {
		return nil, nil, nil
	}
	level, err := c.direct(ctx, conn, user)
	if err != nil {
		return nil, nil, fmt.Errorf("searching groups: %w", err)
	}
	seen := map[string]bool{}
	for depth := 0; len(level) > 0; depth++ {
		fresh := unseen(level, seen)
		if depth > c.cfg.GroupSearch.NestedDepth {
			return names, tooDeep(fresh, c.cfg.GroupSearch.NestedDepth), nil
		}
		for _, g := range fresh {
			names = append(names, g.name)
		}
		// Without nesting, nothing asks for the groups of groups. The caller refuses a
		// user with too many groups.
		if c.cfg.GroupSearch.NestedDepth == 0 || len(names) > connectors.MaxGroups {
			break
		}
		if level, err = c.parents(ctx, conn, fresh); err != nil {
			return nil, nil, fmt.Errorf("searching nested groups: %w", err)
		}
	}
	return names, nil, nil
}

// unseen returns the groups that were not met before, and marks them as met: groups
// may contain each other.
func unseen(groups []group, seen map[string]bool) (fresh []group) {
	for _, g := range groups {
		if key := strings.ToLower(g.dn); !seen[key] {
			seen[key] = true
			fresh = append(fresh, g)
		}
	}
	return fresh
}

func tooDeep(groups []group, depth int) (left []connectors.LeftOutGroup) {
	for _, g := range groups {
		left = append(left, connectors.LeftOutGroup{Name: g.name, Reason: fmt.Sprintf("is nested below the depth of %d that the settings allow", depth)})
	}
	return left
}

// memberOf returns the groups that an entry names in an attribute. Active Directory
// returns a part of a list with more than 1,500 values, under the attribute's name with
// a range (MS-ADTS section 3.1.1.3.1.3.3).
func memberOf(entry *goldap.Entry, attr string) ([]string, error) {
	var values []string
	for _, a := range entry.Attributes {
		name, option, _ := strings.Cut(a.Name, ";")
		switch {
		case !strings.EqualFold(name, attr):
		case strings.HasPrefix(strings.ToLower(option), "range="):
			return nil, connectors.NewError(connectors.OutcomeUnusableIdentity, nil, fmt.Sprintf("The user is in more than 1,500 groups. At most %d fit into a token.", connectors.MaxGroups),
				"An admin has to let the connector search groups by their members, with a filter.")
		default:
			values = append(values, a.Values...)
		}
	}
	return values, nil
}

// direct returns the groups that the user is in, their primary group included.
func (c *Connector) direct(ctx context.Context, conn *goldap.Conn, user *goldap.Entry) ([]group, error) {
	primary, err := c.primary(ctx, conn, user)
	if err != nil {
		return nil, err
	}
	s := c.cfg.GroupSearch
	if s.MemberOfAttr != "" {
		dns, err := memberOf(user, s.MemberOfAttr)
		if err != nil {
			return nil, err
		}
		found, err := c.named(ctx, conn, dns)
		return append(primary, found...), err
	}
	values := []string{user.DN}
	if !strings.EqualFold(s.UserAttr, "dn") {
		values = user.GetEqualFoldAttributeValues(s.UserAttr)
	}
	found, err := c.containing(ctx, conn, values)
	return append(primary, found...), err
}

// The attributes with which Active Directory names a user's primary group: it lists
// no members, and memberOf does not name it. The group's SID is the user's with
// another last number.
const (
	attrPrimaryGroup = "primaryGroupID"
	attrSID          = "objectsid"
)

// primary returns the user's primary group in Active Directory, if it is below the
// base DN of groups and matches their filter.
func (c *Connector) primary(ctx context.Context, conn *goldap.Conn, user *goldap.Entry) ([]group, error) {
	id, err := strconv.ParseUint(user.GetEqualFoldAttributeValue(attrPrimaryGroup), 10, 32)
	sid := user.GetEqualFoldRawAttributeValue(attrSID)
	s := c.cfg.GroupSearch
	if err != nil || len(sid) < 12 || s.BaseDN == "" { // 8 octets and at least one number
		return nil, nil
	}
	sid = binary.LittleEndian.AppendUint32(slices.Clone(sid[:len(sid)-4]), uint32(id))
	entries, err := c.search(ctx, conn, query{base: s.BaseDN, filter: "(&" + s.Filter + "(objectSid=" + escape(sid) + "))", attrs: []string{s.NameAttr}, limit: 1})
	return c.found(entries), err
}

func (c *Connector) found(entries []*goldap.Entry) (found []group) {
	for _, e := range entries {
		found = append(found, group{dn: e.DN, name: e.GetEqualFoldAttributeValue(c.cfg.GroupSearch.NameAttr)})
	}
	return found
}

// parents returns the groups that the given ones are in.
func (c *Connector) parents(ctx context.Context, conn *goldap.Conn, groups []group) ([]group, error) {
	var dns []string
	for _, g := range groups {
		dns = append(dns, g.dn)
	}
	if c.cfg.GroupSearch.MemberOfAttr == "" {
		return c.containing(ctx, conn, dns)
	}
	var parents []string
	for _, dn := range dns {
		entries, err := c.search(ctx, conn, query{base: dn, entryOnly: true, filter: "(objectClass=*)", attrs: []string{c.cfg.GroupSearch.MemberOfAttr}})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			more, err := memberOf(e, c.cfg.GroupSearch.MemberOfAttr)
			if err != nil {
				return nil, err
			}
			parents = append(parents, more...)
		}
	}
	return c.named(ctx, conn, parents)
}

// containing searches the groups that list one of the values as a member, some
// values at a time.
func (c *Connector) containing(ctx context.Context, conn *goldap.Conn, values []string) ([]group, error) {
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
		entries, err := c.search(ctx, conn, query{
			base: s.BaseDN, filter: "(&" + s.Filter + "(|" + anyOf.String() + "))", attrs: []string{s.NameAttr}, limit: connectors.MaxGroups + 1,
		})
		if err != nil {
			return nil, err
		}
		found = append(found, c.found(entries)...)
	}
	return found, nil
}

// named looks the groups up whose names are needed. A group outside the base DN
// or the filter doesn't count.
func (c *Connector) named(ctx context.Context, conn *goldap.Conn, dns []string) ([]group, error) {
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
		entries, err := c.search(ctx, conn, query{base: dn, entryOnly: true, filter: filter, attrs: []string{s.NameAttr}})
		if err != nil {
			return nil, err
		}
		found = append(found, c.found(entries)...)
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
