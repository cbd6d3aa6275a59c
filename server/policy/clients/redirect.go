package clients

import (
	"net/netip"
	"net/url"
	"strings"
)

// AllowsRedirect reports whether uri is a registered redirect URI of the client. It compares character by character
// (RFC 9700 section 2.1). For a public client on loopback it ignores the port (RFC 8252 section 7.3), and an empty
// path equals "/".
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
	// The URI rebuilt from the parts that may differ must equal the original. A URI that a parser would repair does
	// not match.
	rebuilt := "http://" + got.Host + want.EscapedPath()
	if want.RawQuery != "" {
		rebuilt += "?" + want.RawQuery
	}
	if want.Path == "" && want.RawQuery == "" && uri == rebuilt+"/" {
		return got.Hostname() == want.Hostname()
	}
	return got.Hostname() == want.Hostname() && uri == rebuilt
}

// isLoopback reports whether the URI is http on localhost, 127.0.0.1 or [::1], with or without a port.
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

// RedirectOrigin returns the origin of a redirect URI for a form-action directive: scheme and host, or only the
// scheme for private-use schemes.
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
