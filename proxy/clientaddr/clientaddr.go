// Package clientaddr says where a request comes from, also behind load balancers that are
// trusted to say so.
package clientaddr

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// From returns what says where a request comes from: its own address or, when that is one
// of the trusted networks, the last address of X-Forwarded-For that is not. What somebody
// writes there before it reaches who is trusted counts for nothing.
func Resolver(trusted []netip.Prefix) func(r *http.Request) string {
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) string {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return ""
		}
		from := at.Addr().Unmap()
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && isTrusted(from); i-- {
			hop, ok := parse(hops[i])
			if !ok {
				break // whoever is trusted did not write this
			}
			from = hop
		}
		return from.String()
	}
}

// parse reads an address, with a port or without.
func parse(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr().Unmap().WithZone(""), err == nil
}
