package clients

import (
	"net/netip"
	"net/url"
	"strings"
)

// AllowsRedirect reports whether answers may go to uri. It must be equal to a
// registered one, character by character (RFC 9700 section 2.1). Only for a
// public client, and only on loopback, the port may be any (RFC 8252 section
// 7.3), and no path counts as the path "/".
func (c *Client) AllowsRedirect(uri string) bool {
	for _, registered := range c.RedirectURIs {
		if uri == registered {
			return true
		}
		if c.Public && sameLoopback(registered, uri) {
			return true
		}
	}
	return false
}

func sameLoopback(registered, uri string) bool {
	want, err := url.Parse(registered)
	if err != nil || !isLoopback(want) {
		return false
	}
	got, err := url.Parse(uri)
	if err != nil || !isLoopback(got) {
		return false
	}
	// Built again from the parts that may differ, the URI must come out as it
	// was sent: what a parser would repair or ignore is not a match.
	rebuilt := "http://" + got.Host + want.EscapedPath()
	if want.RawQuery != "" {
		rebuilt += "?" + want.RawQuery
	}
	if want.Path == "" && want.RawQuery == "" && uri == rebuilt+"/" {
		return got.Hostname() == want.Hostname()
	}
	return got.Hostname() == want.Hostname() && uri == rebuilt
}

// isLoopback accepts http URIs on localhost, 127.0.0.1 and [::1] with or
// without a plain port.
func isLoopback(u *url.URL) bool {
	if u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	if port := u.Port(); strings.HasSuffix(u.Host, ":") || strings.HasPrefix(port, "0") || len(port) > 5 {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback() && addr.Zone() == ""
}

// RedirectOrigin returns the origin of a redirect URI for a form-action
// directive: scheme and host, or the scheme alone for private-use schemes.
func RedirectOrigin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
