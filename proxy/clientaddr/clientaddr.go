// Package clientaddr determines the IP address of a client, also behind trusted load balancers that set
// X-Forwarded-For.
package clientaddr

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Resolver returns a function that determines a request's client address. This is the address of the
// connection or, if that is in a trusted network, the last address in X-Forwarded-For that is not in
// one. It ignores addresses that a client could have written itself.
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
				break // a trusted load balancer would have written an address
			}
			from = hop
		}
		return from.String()
	}
}

// parse parses an address with or without a port.
func parse(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr().Unmap().WithZone(""), err == nil
}
