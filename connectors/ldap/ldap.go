package ldap

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
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
	entry, err := c.findNamed(ctx, service, username)
	if err != nil {
		return connectors.Identity{}, err
	}
	if err := c.bindUser(ctx, entry.DN, password); err != nil {
		return connectors.Identity{}, err
	}
	// Read again: a bind that went well takes away a lock that has run out.
	if entry, err = c.findNamed(ctx, service, username); err != nil {
		return connectors.Identity{}, err
	}
	return c.identity(ctx, service, entry)
}

// Refresh reads the person again by the id that never changes.
func (c *Connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	if len(last.Data) == 0 {
		return connectors.Identity{}, connectors.Unconfirmed()
	}
	service, err := c.bindService(ctx)
	if err != nil {
		return connectors.Identity{}, err
	}
	defer func() { _ = service.Close() }()
	entry, err := c.findUser(ctx, service, c.cfg.UserSearch.IDAttr, last.Data)
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.identity(ctx, service, entry)
}

func (c *Connector) bindService(ctx context.Context) (*goldap.Conn, error) {
	conn, err := c.dialer.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the directory: %w", classify(err))
	}
	if err := c.bindServiceOn(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// bindServiceOn binds as the service account, if there is one.
func (c *Connector) bindServiceOn(conn *goldap.Conn) error {
	if c.cfg.BindDN == "" {
		return nil
	}
	if err := conn.Bind(c.cfg.BindDN, c.cfg.BindPassword.Reveal()); err != nil {
		return fmt.Errorf("binding as %s: %w", c.cfg.BindDN, classify(err))
	}
	return nil
}

func (c *Connector) bindUser(ctx context.Context, dn, password string) error {
	conn, err := c.dialer.dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the directory: %w", classify(err))
	}
	defer func() { _ = conn.Close() }()
	res, err := conn.SimpleBind(&goldap.SimpleBindRequest{Username: dn, Password: password, Controls: []goldap.Control{goldap.NewControlBeheraPasswordPolicy()}})
	if res == nil {
		return bindError(err, nil)
	}
	return bindError(err, res.Controls)
}

// findNamed returns the entry of the user who signs in. Unlike at a renewal, a name
// without an entry is a wrong user name. So is a name that the directory alone takes for
// the entry's: it ignores blanks, letter forms or what follows a NUL, and the server
// counts wrong passwords for each spelling.
func (c *Connector) findNamed(ctx context.Context, conn *goldap.Conn, username string) (*goldap.Entry, error) {
	entry, err := c.findUser(ctx, conn, c.cfg.UserSearch.UsernameAttr, []byte(username))
	if errors.Is(err, connectors.ErrDenied) {
		return nil, fmt.Errorf("%w: %w", connectors.ErrBadCredentials, err)
	}
	if err != nil {
		return nil, err
	}
	spelled := func(name string) bool { return kubenames.Key(name) == kubenames.Key(username) }
	if !slices.ContainsFunc(entry.GetEqualFoldAttributeValues(c.cfg.UserSearch.UsernameAttr), spelled) {
		return nil, fmt.Errorf("%w: the directory spells the name of %s differently", connectors.ErrBadCredentials, entry.DN)
	}
	return entry, nil
}

// findUser returns the one entry whose attribute has the value. No entry is
// ErrDenied; several are an identity that can't be used.
func (c *Connector) findUser(ctx context.Context, conn *goldap.Conn, attr string, value []byte) (*goldap.Entry, error) {
	s := c.cfg.UserSearch
	attrs := append([]string{s.UsernameAttr, s.IDAttr, s.NameAttr, s.EmailAttr, attrPrimaryGroup, attrSID}, accountAttrs()...)
	for _, more := range []string{c.cfg.GroupSearch.MemberOfAttr, c.cfg.GroupSearch.UserAttr} {
		if more != "" && !strings.EqualFold(more, "dn") {
			attrs = append(attrs, more)
		}
	}
	entries, err := c.search(ctx, conn, query{base: s.BaseDN, filter: "(&" + s.Filter + "(" + attr + "=" + escape(value) + "))", attrs: attrs, limit: 2})
	switch {
	case err != nil:
		return nil, fmt.Errorf("searching the user: %w", err)
	case len(entries) == 0:
		return nil, fmt.Errorf("no entry matches: %w", connectors.ErrDenied)
	case len(entries) > 1:
		return nil, connectors.NewError(connectors.OutcomeUnusableIdentity, nil, "Several entries of the directory have this "+attr+".", "An admin has to make it unique, narrow the user filter, or choose another attribute.")
	}
	return entries[0], nil
}

func (c *Connector) identity(ctx context.Context, conn *goldap.Conn, entry *goldap.Entry) (connectors.Identity, error) {
	if err := checkAccount(entry, c.env.Now()); err != nil {
		return connectors.Identity{}, err
	}
	s := c.cfg.UserSearch
	raw := entry.GetEqualFoldRawAttributeValue(s.IDAttr)
	if len(raw) == 0 {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeUnusableIdentity, nil, "The user has no attribute "+s.IDAttr+", or the service account may not read it.", "An admin has to choose another ID attribute.")
	}
	groups, left, err := c.groups(ctx, conn, entry)
	if err != nil {
		return connectors.Identity{}, err
	}
	email := entry.GetEqualFoldAttributeValue(s.EmailAttr)
	return connectors.Identity{
		Subject: printableID(s.IDAttr, raw), Data: raw,
		Username: entry.GetEqualFoldAttributeValue(s.UsernameAttr), Name: entry.GetEqualFoldAttributeValue(s.NameAttr),
		// The directory's admins enter the address: that is all the proof there is.
		Email: email, EmailVerified: email != "", Groups: groups, LeftOut: left,
	}, nil
}

// binaryIDs are attributes whose values are octets, in lower case: objectGUID and
// objectSid of Active Directory, GUID of eDirectory.
var binaryIDs = []string{"objectguid", attrSID, "guid"}

// printableID writes binary ids in hexadecimal: those of the known attributes always,
// even when the octets happen to be text.
func printableID(attr string, raw []byte) string {
	if slices.Contains(binaryIDs, strings.ToLower(attr)) || !utf8.Valid(raw) || bytes.ContainsFunc(raw, unicode.IsControl) {
		return hex.EncodeToString(raw)
	}
	return string(raw)
}

// escape writes a value for a filter (RFC 4515 section 3): every octet as its two
// hexadecimal digits, which is right for text and for binary values.
func escape(value []byte) string {
	var b strings.Builder
	for _, octet := range value {
		fmt.Fprintf(&b, `\%02x`, octet)
	}
	return b.String()
}
