package ldap

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
)

// Connector signs people in with a directory.
type Connector struct {
	cfg    Config
	env    connectors.Env
	dialer dialer
}

var (
	_ connectors.Passworder = (*Connector)(nil)
	_ connectors.Refresher  = (*Connector)(nil)
)

// UsernameLabel says what the form asks for.
func (c *Connector) UsernameLabel() string { return c.cfg.UsernamePrompt }

// Login finds the person with the service account, then binds as them.
func (c *Connector) Login(ctx context.Context, username, password string) (connectors.Identity, error) {
	// A bind with a name and no password is anonymous and succeeds on many
	// servers (RFC 4513 section 5.1.2).
	if username == "" || password == "" {
		return connectors.Identity{}, connectors.ErrBadCredentials
	}
	service, err := c.bindService(ctx)
	if err != nil {
		return connectors.Identity{}, err
	}
	defer func() { _ = service.Close() }()
	entry, err := c.findUser(service, c.cfg.UserSearch.UsernameAttr, goldap.EscapeFilter(username))
	if errors.Is(err, connectors.ErrDenied) {
		return connectors.Identity{}, fmt.Errorf("%w: %w", connectors.ErrBadCredentials, err)
	}
	if err != nil {
		return connectors.Identity{}, err
	}
	if err := c.bindUser(ctx, entry.DN, password); err != nil {
		return connectors.Identity{}, err
	}
	// Read again: a bind that went well takes away a lock that has run out.
	if entry, err = c.findUser(service, c.cfg.UserSearch.UsernameAttr, goldap.EscapeFilter(username)); err != nil {
		return connectors.Identity{}, err
	}
	return c.identity(service, entry)
}

// Refresh reads the person again by the id that never changes.
func (c *Connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	if len(last.Data) == 0 {
		return connectors.Identity{}, fmt.Errorf("no directory id is known: %w", connectors.ErrDenied)
	}
	service, err := c.bindService(ctx)
	if err != nil {
		return connectors.Identity{}, err
	}
	defer func() { _ = service.Close() }()
	entry, err := c.findUser(service, c.cfg.UserSearch.IDAttr, escapeBytes(last.Data))
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.identity(service, entry)
}

func (c *Connector) bindService(ctx context.Context) (*goldap.Conn, error) {
	conn, err := c.dialer.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the directory: %w", err)
	}
	if c.cfg.BindDN == "" {
		return conn, nil
	}
	if err := conn.Bind(c.cfg.BindDN, c.cfg.BindPassword.Reveal()); err != nil {
		return nil, errors.Join(fmt.Errorf("binding as %s: %w", c.cfg.BindDN, err), conn.Close())
	}
	return conn, nil
}

func (c *Connector) bindUser(ctx context.Context, dn, password string) error {
	conn, err := c.dialer.dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the directory: %w", err)
	}
	defer func() { _ = conn.Close() }()
	err = conn.Bind(dn, password)
	if goldap.IsErrorAnyOf(err, goldap.LDAPResultInvalidCredentials, goldap.LDAPResultUnwillingToPerform,
		goldap.LDAPResultConstraintViolation, goldap.LDAPResultInappropriateAuthentication) {
		return fmt.Errorf("%w: %w", connectors.ErrBadCredentials, err)
	}
	if err != nil {
		return fmt.Errorf("binding as the person: %w", err)
	}
	return nil
}

// findUser returns the one entry whose attribute has the escaped value. None or
// several are ErrDenied.
func (c *Connector) findUser(conn *goldap.Conn, attr, escaped string) (*goldap.Entry, error) {
	s := c.cfg.UserSearch
	attrs := append([]string{s.UsernameAttr, s.IDAttr, s.NameAttr, s.EmailAttr}, accountAttrs()...)
	for _, more := range []string{c.cfg.GroupSearch.MemberOfAttr, c.cfg.GroupSearch.UserAttr} {
		if more != "" && !strings.EqualFold(more, "dn") {
			attrs = append(attrs, more)
		}
	}
	entries, err := c.search(conn, query{base: s.BaseDN, filter: "(&" + s.Filter + "(" + attr + "=" + escaped + "))", attrs: attrs, limit: 2})
	if err != nil {
		return nil, fmt.Errorf("searching the person: %w", err)
	}
	if len(entries) != 1 {
		return nil, fmt.Errorf("%d entries match: %w", len(entries), connectors.ErrDenied)
	}
	return entries[0], nil
}

type query struct {
	base, filter string
	attrs        []string
	limit        int
	// scope is the whole subtree unless it is set.
	entryOnly bool
}

func (c *Connector) search(conn *goldap.Conn, q query) ([]*goldap.Entry, error) {
	scope := goldap.ScopeWholeSubtree
	if q.entryOnly {
		scope = goldap.ScopeBaseObject
	}
	req := goldap.NewSearchRequest(q.base, scope, goldap.NeverDerefAliases, q.limit, int(c.dialer.timeout.Seconds()), false, q.filter, q.attrs, nil)
	res, err := conn.Search(req)
	if goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject) {
		return nil, nil
	}
	if goldap.IsErrorWithCode(err, goldap.LDAPResultSizeLimitExceeded) && res != nil {
		return res.Entries, nil
	}
	if err != nil {
		return nil, err
	}
	return res.Entries, nil
}

func (c *Connector) identity(conn *goldap.Conn, entry *goldap.Entry) (connectors.Identity, error) {
	if err := checkAccount(entry, c.env.Now()); err != nil {
		return connectors.Identity{}, err
	}
	s := c.cfg.UserSearch
	raw := entry.GetRawAttributeValue(s.IDAttr)
	if len(raw) == 0 {
		return connectors.Identity{}, fmt.Errorf("the person has no attribute %s; choose another idAttr: %w", s.IDAttr, connectors.ErrDenied)
	}
	groups, err := c.groups(conn, entry)
	if err != nil {
		return connectors.Identity{}, err
	}
	email := entry.GetAttributeValue(s.EmailAttr)
	return connectors.Identity{
		Subject: printableID(raw), Data: raw,
		Username: entry.GetAttributeValue(s.UsernameAttr), Name: entry.GetAttributeValue(s.NameAttr),
		// The directory's admins enter the address: that is all the proof there is.
		Email: email, EmailVerified: email != "", Groups: groups,
	}, nil
}

// printableID writes binary ids, such as objectGUID, in hexadecimal.
func printableID(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	return hex.EncodeToString(raw)
}

func escapeBytes(raw []byte) string {
	if utf8.Valid(raw) {
		return goldap.EscapeFilter(string(raw))
	}
	var b strings.Builder
	for _, octet := range raw {
		fmt.Fprintf(&b, `\%02x`, octet)
	}
	return b.String()
}
