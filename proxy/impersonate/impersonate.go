// Package impersonate computes the headers for the API server from the client's headers and its
// identity. It removes everything with which a client could claim an identity, and adds the
// Impersonate-* headers. Its functions have no side effects.
package impersonate

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// maxHeaders bounds the outgoing headers, in bytes. API servers accept more, but load balancers often
// do not.
const maxHeaders = 64 << 10

// Headers returns the headers for a user. It adds the group system:authenticated and does not change
// inbound. The identity is added last, to a new map, so that the client cannot remove it by naming it
// in a Connection header (the class of CVE-2021-31999 and CVE-2022-23652).
func Headers(inbound http.Header, id *authn.Identity) (http.Header, *status.Error) {
	person := *id
	// The group is always there. If the user header were lost on the way, an API server would refuse
	// groups without a user, instead of treating the request as the proxy's own.
	person.Groups = append(append(make([]string, 0, len(id.Groups)+1), id.Groups...), "system:authenticated")
	return identityHeaders(inbound, &person, rejectImpersonation)
}

// TargetHeaders returns the headers for the target of "kubectl --as". Its groups must be complete, and
// the caller must have checked that the user may impersonate it. Inbound contains the same identity.
func TargetHeaders(inbound http.Header, target *authn.Identity) (http.Header, *status.Error) {
	return identityHeaders(inbound, target, rejectAmbiguous)
}

// TokenHeaders returns the headers for a client whose own token is forwarded. The token is the only
// identity in them.
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

// filterInbound returns the client's headers that may be forwarded.
func filterInbound(inbound http.Header, refuse func(name, key string) *status.Error) (http.Header, *status.Error) {
	ends := connectionOptions(inbound["Connection"])
	const room = 8 // for the identity headers
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

// SetUpgrade adds the two headers that request a switch of protocols.
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

// extraHeader returns the header name for an extra key. The keys in Fairlead's own tokens are
// constants, because computing a name takes 3% of the time of a small request.
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

// normalizeHeaderName maps "X_Remote_User", "X--Remote-User" and "x-remote-user" to one name, because
// some servers treat them as the same header (CVE-2025-64484).
func normalizeHeaderName(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return name
}

// rejectImpersonation refuses headers that claim an identity.
func rejectImpersonation(name, key string) *status.Error {
	if strings.HasPrefix(key, "impersonate") {
		return status.ImpersonationUnsupported()
	}
	return rejectAmbiguous(name, key)
}

// rejectAmbiguous refuses headers that a server could take for identity headers.
func rejectAmbiguous(name, key string) *status.Error {
	if strings.Contains(name, "_") && (strings.HasPrefix(key, "x-remote-") || strings.HasPrefix(key, "x-forwarded") || key == "authorization") {
		return status.AmbiguousHeader(name)
	}
	return nil
}

// isStripped reports whether the proxy removes a header that only it, or no hop, may set.
func isStripped(key string) bool {
	switch key {
	case "authorization", "proxy-authorization", "forwarded", "x-real-ip", "via", "host", "cookie", "http2-settings", "expect":
		return true
	}
	return strings.HasPrefix(key, "x-remote-") || strings.HasPrefix(key, "x-forwarded-") || strings.HasPrefix(key, "impersonate")
}

// isHopByHop reports whether a header must not be forwarded (RFC 9110 section 7.6.1).
func isHopByHop(key string) bool {
	switch key {
	case "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate":
		return true
	}
	return false
}

// connectionOptions returns the header names in Connection headers, which must not be forwarded.
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

// escapeExtraKey percent-encodes the characters of a key that a header name cannot contain, and the
// percent sign (client-go/transport.headerKeyEscape).
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
