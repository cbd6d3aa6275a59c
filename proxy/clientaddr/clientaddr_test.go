package clientaddr_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/fairlead-auth/fairlead/proxy/clientaddr"
)

func TestResolver(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5000", nil, "192.0.2.1"},
		{"192.0.2.1:5000", []string{"6.6.6.6"}, "192.0.2.1"}, // the peer is not trusted
		{"10.0.0.1:5000", nil, "10.0.0.1"},
		{"10.0.0.1:5000", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.0.0.1:5000", []string{"6.6.6.6, 198.51.100.7"}, "198.51.100.7"}, // the client wrote the first address
		{"10.0.0.1:5000", []string{"6.6.6.6", "198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"10.0.0.1:5000", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"10.0.0.1:5000", []string{"[2001:db9::1]:4711"}, "2001:db9::1"},
		{"[2001:db8::1]:5000", []string{"2001:db9::1"}, "2001:db9::1"},
		{"[::ffff:10.0.0.1]:5000", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"10.0.0.1:5000", []string{"198.51.100.7, "}, "10.0.0.1"}, // this makes other proxies panic
		{"10.0.0.1:5000", []string{""}, "10.0.0.1"},
		{"10.0.0.1:5000", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:5000", []string{"fe80::1%eth0"}, "fe80::1"},
		{"@", []string{"198.51.100.7"}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := clientaddr.Resolver(trusted)(r); got != c.want {
			t.Errorf("from %s, X-Forwarded-For %q: %q, want %q", c.remote, c.forwarded, got, c.want)
		}
	}
}
