// Package impersonate computes the headers that go to the API server: what the
// client may say, and on top of it who it is. It is pure: an identity and
// inbound headers become outbound headers, or a refusal.
package impersonate

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// maxHeaders bounds the outbound headers in bytes; API servers take more, load
// balancers in between often don't.
const maxHeaders = 64 << 10

// Headers returns what to send for a person, to whose groups everybody's is added.
// Inbound isn't changed. The identity comes last and into a fresh map, so that nothing
// that the client names in its Connection header can remove it (the class of
// CVE-2021-31999 and CVE-2022-23652).
func Headers(inbound http.Header, id *authn.Identity) (http.Header, *status.Error) {
	person := *id
	// Always present: should the user header ever be lost on the way, an API
	// server refuses groups without a user instead of taking us for ourselves.
	person.Groups = append(append(make([]string, 0, len(id.Groups)+1), id.Groups...), "system:authenticated")
	return identityHeaders(inbound, &person, rejectImpersonation)
}

// HeadersAs returns what to send for somebody whom a person acts as. The groups are
// complete, and whether the person may was asked before: their headers say the same.
func TargetHeaders(inbound http.Header, target *authn.Identity) (http.Header, *status.Error) {
	return identityHeaders(inbound, target, rejectAmbiguous)
}

// Own returns what to send for somebody who speaks for themselves, with their own token:
// nothing that says who they are but that.
func TokenHeaders(inbound http.Header, token string) (http.Header, *status.Error) {
	out, refusal := filterInbound(inbound, rejectImpersonation)
	if refusal != nil {
		return nil, refusal
	}
	out["Authorization"] = []string{"Bearer " + token}
	return checkSize(out)
}

func identityHeaders(inbound http.Header, id *authn.Identity, refuse func(name, key string) *status.Error) (http.Header, *status.Error) {
	out, refusal := filterInbound(inbound, refuse)
	if refusal != nil {
		return nil, refusal
	}
	addIdentity(out, id)
	return checkSize(out)
}

func checkSize(out http.Header) (http.Header, *status.Error) {
	if headerSize(out) > maxHeaders {
		return nil, status.HeadersTooLarge(maxHeaders)
	}
	return out, nil
}

// clean leaves what the client may say.
func filterInbound(inbound http.Header, refuse func(name, key string) *status.Error) (http.Header, *status.Error) {
	ends := connectionOptions(inbound["Connection"])
	const room = 8 // for who it is
	out := make(http.Header, len(inbound)+room)
	for name, values := range inbound {
		key := normalizeHeaderName(name)
		if refusal := refuse(name, key); refusal != nil {
			return nil, refusal
		}
		if isHopByHop(key) || ends[key] || isStripped(key) {
			continue
		}
		out[name] = values
	}
	if protocols, ok := out["Sec-Websocket-Protocol"]; ok {
		if out["Sec-Websocket-Protocol"] = authn.WithoutTokenProtocol(protocols); out["Sec-Websocket-Protocol"] == nil {
			delete(out, "Sec-Websocket-Protocol")
		}
	}
	return out, nil
}

// Upgrade adds the two headers that ask the API server to switch protocols.
func SetUpgrade(out http.Header, protocol string) {
	out["Connection"] = []string{"Upgrade"}
	out["Upgrade"] = []string{protocol}
}

func addIdentity(out http.Header, id *authn.Identity) {
	out["Impersonate-User"] = []string{id.User}
	if id.UID != "" {
		out["Impersonate-Uid"] = []string{id.UID}
	}
	out["Impersonate-Group"] = id.Groups
	for _, e := range id.Extra {
		key := extraHeader(e.Key)
		out[key] = append(out[key], e.Value)
	}
}

// extraHeader is the name of the header for an extra value. Those that every token of ours
// has are written out: to make them anew costs a thirtieth of a small request.
func extraHeader(key string) string {
	switch key {
	case authn.ExtraSignIn:
		return "Impersonate-Extra-Fairlead.dev%2fsid"
	case authn.ExtraDevice:
		return "Impersonate-Extra-Fairlead.dev%2fdevice"
	case authn.ExtraCredential:
		return "Impersonate-Extra-Authentication.kubernetes.io%2fcredential-Id"
	}
	return canonicalExtraHeader(key)
}

func canonicalExtraHeader(key string) string {
	return textproto.CanonicalMIMEHeaderKey("Impersonate-Extra-" + escapeExtraKey(key))
}

// fold makes "X_Remote_User", "X--Remote-User" and "x-remote-user" the same: some
// servers behind us could take one for the other (CVE-2025-64484).
func normalizeHeaderName(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return name
}

// refuse finds headers that try to say who somebody is.
func rejectImpersonation(name, key string) *status.Error {
	if strings.HasPrefix(key, "impersonate") {
		return status.ImpersonationUnsupported()
	}
	return rejectAmbiguous(name, key)
}

// refuseAmbiguous finds headers that could be taken for others.
func rejectAmbiguous(name, key string) *status.Error {
	if strings.Contains(name, "_") && (strings.HasPrefix(key, "x-remote-") || strings.HasPrefix(key, "x-forwarded") || key == "authorization") {
		return status.AmbiguousHeader(name)
	}
	return nil
}

// dropped are the headers that are ours to say, or nobody's.
func isStripped(key string) bool {
	switch key {
	case "authorization", "proxy-authorization", "forwarded", "x-real-ip", "via", "host", "cookie", "http2-settings", "expect":
		return true
	}
	return strings.HasPrefix(key, "x-remote-") || strings.HasPrefix(key, "x-forwarded-") || strings.HasPrefix(key, "impersonate")
}

// hopByHop reports whether a header ends here (RFC 9110 section 7.6.1).
func isHopByHop(key string) bool {
	switch key {
	case "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate":
		return true
	}
	return false
}

// named are the headers that the client says end here. Most say nothing.
func connectionOptions(connection []string) map[string]bool {
	if len(connection) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			names[normalizeHeaderName(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// escape writes a key so that it fits a header's name: what is no token
// character, and the percent sign, percent-encoded
// (client-go/transport.headerKeyEscape).
func escapeExtraKey(key string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if isToken(c) && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0
}

func headerSize(h http.Header) int {
	total := 0
	for name, values := range h {
		for _, v := range values {
			total += len(name) + len(v) + len(": \r\n")
		}
	}
	return total
}
