package ldap

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

const (
	// pageSize is how many entries a page of results holds (RFC 2696). It is below the
	// 1,000 that Active Directory gives at most.
	pageSize = 500
	// maxHops is how many servers one search visits one after another, and
	// maxReferrals how many referrals of one answer it follows.
	maxHops, maxReferrals = 3, 10
)

// query is a search.
type query struct {
	base, filter string
	attrs        []string
	// limit is how many entries are of interest; 0 means all.
	limit int
	// entryOnly searches the base entry alone instead of the whole subtree.
	entryOnly bool
	// sample takes what the directory's size limit allows. Without it, a list that
	// the directory has cut is an error.
	sample bool
}

func (q query) request(timeout int) *goldap.SearchRequest {
	scope := goldap.ScopeWholeSubtree
	if q.entryOnly {
		scope = goldap.ScopeBaseObject
	}
	limit := q.limit
	var controls []goldap.Control
	if q.paged() {
		limit, controls = 0, []goldap.Control{goldap.NewControlPaging(pageSize)}
	}
	return goldap.NewSearchRequest(q.base, scope, goldap.NeverDerefAliases, limit, timeout, false, q.filter, q.attrs, controls)
}

func (q query) paged() bool { return !q.entryOnly && (q.limit == 0 || q.limit > pageSize) }

// enough reports whether a search may stop.
func (q query) enough(entries []*goldap.Entry) bool { return q.limit > 0 && len(entries) >= q.limit }

// search returns the entries that match, or an error with an outcome: never a list
// that the directory has cut short.
func (c *Connector) search(ctx context.Context, conn *goldap.Conn, q query) ([]*goldap.Entry, error) {
	return c.searchHops(ctx, conn, q, 0)
}

func (c *Connector) searchHops(ctx context.Context, conn *goldap.Conn, q query, hops int) ([]*goldap.Entry, error) {
	entries, referrals, err := c.searchServer(conn, q)
	if err != nil || !c.cfg.FollowReferrals {
		return entries, classify(err)
	}
	referrals = slices.DeleteFunc(referrals, ownPartition)
	if len(referrals) > 0 && hops == maxHops || len(referrals) > maxReferrals {
		return nil, misconfigured(nil, "The directory's referrals lead on and on.", "Search a narrower base DN, or switch off following referrals.")
	}
	for _, address := range referrals {
		if q.enough(entries) {
			break
		}
		more, err := c.follow(ctx, address, q, hops+1)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	return entries, nil
}

// ownPartition reports whether an LDAP URL refers to a partition that Active Directory
// keeps for itself. A search of a whole domain always refers there, and no users or
// groups of people are there.
func ownPartition(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(u.Path, "/")), ",")
	return slices.Contains([]string{"cn=configuration", "dc=domaindnszones", "dc=forestdnszones"}, first)
}

// searchServer returns what one server answers: entries, page by page, and the LDAP
// URLs of the servers that hold the rest.
func (c *Connector) searchServer(conn *goldap.Conn, q query) (entries []*goldap.Entry, referrals []string, err error) {
	req := q.request(int(c.dialer.timeout.Seconds()))
	for {
		page, err := conn.Search(req)
		if page != nil {
			entries, referrals = append(entries, page.Entries...), append(referrals, page.Referrals...)
		}
		switch {
		case goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject):
			return nil, nil, nil
		case goldap.IsErrorWithCode(err, goldap.LDAPResultReferral) && c.cfg.FollowReferrals:
			return entries, append(referrals, referralURLs(err)...), nil
		case goldap.IsErrorWithCode(err, goldap.LDAPResultSizeLimitExceeded) && (q.sample || q.enough(entries)):
			return entries, referrals, nil
		case err != nil:
			return nil, nil, err
		case q.enough(entries) || !nextPage(req, page):
			return entries, referrals, nil
		}
	}
}

// nextPage prepares the request for the next page, and reports whether there is one.
func nextPage(req *goldap.SearchRequest, page *goldap.SearchResult) bool {
	asked, ok := goldap.FindControl(req.Controls, goldap.ControlTypePaging).(*goldap.ControlPaging)
	if !ok {
		return false
	}
	answered, ok := goldap.FindControl(page.Controls, goldap.ControlTypePaging).(*goldap.ControlPaging)
	if !ok || len(answered.Cookie) == 0 {
		return false
	}
	asked.SetCookie(answered.Cookie)
	return true
}

// referralURLs reads the LDAP URLs of a result with the code "referral" (RFC 4511
// section 4.1.10), which go-ldap does not decode for searches.
func referralURLs(err error) (urls []string) {
	fault, ok := errors.AsType[*goldap.Error](err)
	if !ok || fault.Packet == nil || len(fault.Packet.Children) < 2 {
		return nil
	}
	for _, part := range fault.Packet.Children[1].Children {
		const contextSpecific, referral = 0x80, 3
		if part.ClassType != contextSpecific || part.Tag != referral {
			continue
		}
		for _, uri := range part.Children {
			if text, ok := uri.Value.(string); ok {
				urls = append(urls, text)
			}
		}
	}
	return urls
}

// follow searches on the server that a referral names. It uses the service account,
// the same protection and the same authorities as the configured servers.
func (c *Connector) follow(ctx context.Context, address string, q query, hops int) ([]*goldap.Entry, error) {
	host, base, err := c.referral(address)
	if err != nil {
		return nil, err
	}
	if base != "" {
		q.base = base
	}
	conn, err := c.dialer.connect(ctx, host)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = conn.Close() }()
	if err := c.bindServiceOn(conn); err != nil {
		return nil, err
	}
	return c.searchHops(ctx, conn, q, hops)
}

// referral returns the host and the base DN of an LDAP URL (RFC 4516). The standard
// ports give way to the port that goes with this connector's protection: Active
// Directory refers to ldap:// even on an LDAPS connection.
func (c *Connector) referral(address string) (host, base string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"ldap", "ldaps"}, strings.ToLower(u.Scheme)) {
		return "", "", misconfigured(err, "The directory refers to an address that is no LDAP URL.", "Search a narrower base DN, or switch off following referrals.")
	}
	host = u.Hostname()
	if port := u.Port(); port != "" && port != "389" && port != "636" {
		host = u.Host
	}
	if c.cfg.Security == SecurityNone && !loopback(host) {
		return "", "", misconfigured(nil, "The directory refers to "+host+", and the connection there would not be protected.", "Use LDAPS or StartTLS.")
	}
	return host, strings.TrimPrefix(u.Path, "/"), nil
}
