package impersonate_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/impersonate"
)

func jane() *authn.Identity {
	return &authn.Identity{
		User: "corp:jane", UID: "usr_1", Groups: []string{"corp:dev"},
		Extra: []authn.Extra{{Key: "fairlead.dev/sid", Value: "sid_1"}},
	}
}

// identity returns the headers that every outgoing request must have.
func identity() http.Header {
	return http.Header{
		"Impersonate-User": {"corp:jane"}, "Impersonate-Uid": {"usr_1"}, "Impersonate-Group": {"corp:dev", "system:authenticated"},
		"Impersonate-Extra-Fairlead.dev%2fsid": {"sid_1"},
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		inbound http.Header
		// want is the outgoing header without the identity.
		want    http.Header
		refused bool
	}{
		{"plain", http.Header{"Accept": {"application/json"}, "User-Agent": {"kubectl"}}, http.Header{"Accept": {"application/json"}, "User-Agent": {"kubectl"}}, false},
		{"token", http.Header{"Authorization": {"Bearer x"}}, http.Header{}, false},
		{"cookie", http.Header{"Cookie": {"a=b"}}, http.Header{}, false},

		{"impersonate user", http.Header{"Impersonate-User": {"root"}}, nil, true},
		{"odd case", http.Header{"iMPERSONATE-uSER": {"root"}}, nil, true},
		{"underscore", http.Header{"Impersonate_User": {"root"}}, nil, true},
		{"group only", http.Header{"Impersonate-Group": {"system:masters"}}, nil, true},
		{"uid", http.Header{"Impersonate-Uid": {"0"}}, nil, true},
		{"extra", http.Header{"Impersonate-Extra-Scopes": {"x"}}, nil, true},
		{"encoded extra", http.Header{"Impersonate-Extra-Example.com%2ffoo": {"x"}}, nil, true},
		{"unknown", http.Header{"Impersonate-Foo": {"x"}}, nil, true},
		{"bare word", http.Header{"Impersonate": {"x"}}, nil, true},
		{"empty first value", http.Header{"Impersonate-User": {"", "root"}}, nil, true},

		{"remote user", http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-A": {"b"}, "X-Remote-Uid": {"0"}}, http.Header{}, false},
		{"remote user with underscore", http.Header{"X_Remote_User": {"root"}}, nil, true},
		{"forwarded with underscore", http.Header{"X_Forwarded_For": {"1.1.1.1"}}, nil, true},
		{"forwarded", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "X-Forwarded-Uri": {"/"}}, http.Header{}, false},

		{"connection names the identity", http.Header{"Connection": {"Impersonate-User, Impersonate-Group"}}, http.Header{}, false},
		{"connection names it after an empty value", http.Header{"Connection": {"", "\tImpersonate-User"}}, http.Header{}, false},
		{"connection names it with blanks", http.Header{"Connection": {" Impersonate-User , impersonate-uid"}}, http.Header{}, false},
		{"connection names the credential", http.Header{"Connection": {"Authorization"}}, http.Header{}, false},
		{"connection names another", http.Header{"Connection": {"X-Foo"}, "X-Foo": {"bar"}, "X-Bar": {"x"}}, http.Header{"X-Bar": {"x"}}, false},
		{"hop by hop", http.Header{
			"Te": {"trailers"}, "Trailer": {"Impersonate-User"}, "Transfer-Encoding": {"chunked"}, "Keep-Alive": {"1"},
			"Upgrade": {"h2c"}, "Http2-Settings": {"x"}, "Proxy-Connection": {"x"}, "Proxy-Authorization": {"x"},
		}, http.Header{}, false},
		{
			"token in the WebSocket protocols",
			http.Header{"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.eA, v5.channel.k8s.io"}},
			http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io"}},
			false,
		},
		{"two such tokens", http.Header{"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.eA", "base64url.bearer.authorization.k8s.io.eQ"}}, http.Header{}, false},
	} {
		before := c.inbound.Clone()
		got, refusal := impersonate.Headers(c.inbound, jane())
		if c.refused {
			if refusal == nil || refusal.HTTPStatus != http.StatusForbidden {
				t.Errorf("%s: got %v, want a refusal", c.name, got)
			}
			continue
		}
		if refusal != nil {
			t.Errorf("%s: %v", c.name, refusal)
			continue
		}
		want := identity()
		maps.Copy(want, c.want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(before, c.inbound); diff != "" {
			t.Errorf("%s changed its input:\n%s", c.name, diff)
		}
	}
}

func TestTooManyGroups(t *testing.T) {
	t.Parallel()
	id := jane()
	for i := range 400 {
		id.Groups = append(id.Groups, fmt.Sprintf("corp:%d-%s", i, strings.Repeat("x", 200)))
	}
	if _, refusal := impersonate.Headers(http.Header{}, id); refusal == nil || refusal.Code != "headers_too_large" {
		t.Errorf("got %v, want a refusal", refusal)
	}
}

// FuzzHeaders looks for a header that changes the identity.
func FuzzHeaders(f *testing.F) {
	f.Add("Impersonate-User", "root", "Impersonate-User")
	f.Add("X_Remote_User", "root", "close")
	f.Add("Connection", "Impersonate-Uid", "x")
	f.Fuzz(func(t *testing.T, name, value, connection string) {
		got, refusal := impersonate.Headers(http.Header{name: {value}, "Connection": {connection}, http.CanonicalHeaderKey(name): {value}}, jane())
		if refusal != nil {
			return
		}
		for key, want := range identity() {
			if !slices.Equal(got[key], want) {
				t.Errorf("%s = %q, want %q", key, got[key], want)
			}
		}
		for key := range got {
			folded := strings.ReplaceAll(strings.ToLower(key), "_", "-")
			if _, ours := identity()[key]; !ours && (strings.HasPrefix(folded, "impersonate") || strings.HasPrefix(folded, "x-remote-") || folded == "authorization") {
				t.Errorf("%q was forwarded", key)
			}
		}
	})
}

// TestExtraKeys decodes the header names as an API server does
// (unescapeExtraKey in k8s.io/apiserver/pkg/endpoints/filters/impersonation).
func TestExtraKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{authn.ExtraSignIn, authn.ExtraDevice, authn.ExtraCredential, authn.ExtraClientAddress, "scopes", "a b", "ü", "50%", "example.com/a%2fb"} {
		id := jane()
		id.Extra = []authn.Extra{{Key: key, Value: "a"}, {Key: key, Value: "b"}}
		got, refusal := impersonate.Headers(http.Header{}, id)
		if refusal != nil {
			t.Fatal(refusal)
		}
		found := false
		for name, values := range got {
			rest, is := strings.CutPrefix(name, "Impersonate-Extra-")
			if !is {
				continue
			}
			found = true
			read, err := url.PathUnescape(strings.ToLower(rest))
			if err != nil || read != key || !slices.Equal(values, []string{"a", "b"}) || http.CanonicalHeaderKey(name) != name {
				t.Errorf("%q is decoded as %q: %v", key, read, values)
			}
		}
		if !found {
			t.Errorf("there is no header for %q", key)
		}
	}
}
