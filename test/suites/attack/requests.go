package attack

import (
	"fmt"
	"strings"
)

// Attack is a request that tries to arrive as another user. LF stands for CRLF, TOKEN
// for a good token.
type Attack struct{ Name, request string }

// spellings are ways to write a header's name that some server might take for it.
func spellings(name string) []string {
	lower := strings.ToLower(name)
	odd := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'm' {
			return r - 'a' + 'A'
		}
		return r
	}, lower)
	return []string{
		name, lower, strings.ToUpper(name), odd, strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		name + " ", name + "\t", " " + name, "\t" + name, name + "\x00", name + "\x0b", "X-" + name, name + "-", strings.ReplaceAll(name, "-", "--"), "HTTP_" + strings.ReplaceAll(name, "-", "_"),
	}
}

// connections are ways to name a header for removal.
func connections(name string) []string {
	return []string{
		"Connection: " + name, "Connection: keep-alive, " + name, "Connection: " + name + ", close", "Connection:\t" + name, "Connection: ,, " + name + " ,", "connection: " + strings.ToLower(name),
		"Connection: close\nConnection: " + name, "Connection:\nConnection: " + name, "Connection: \"" + name + "\"", "Proxy-Connection: " + name, "Keep-Alive: " + name, "Connection: Connection, " + name,
		"Connection: " + strings.ReplaceAll(name, "-", "_"), "Connection: upgrade, " + name + "\nUpgrade: websocket", "TE: " + name, "Trailer: " + name,
	}
}

// requests are those of the peers' and other proxies' history, each in all its spellings.
func requests() []Attack {
	var list []Attack
	add := func(name, request string) { list = append(list, Attack{name, request}) }
	get := func(headers string) string {
		return "GET /api/v1/pods HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n" + headers + "\n\n"
	}
	for _, header := range []string{"Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes", "Impersonate-Extra-Example.com%2fa"} {
		for _, spelling := range spellings(header) {
			add("says "+spelling, get(spelling+": system:admin"))
		}
		add("says "+header+" twice", get(header+": corp:jane\n"+header+": system:admin"))
		add("says "+header+" empty first", get(header+":\n"+header+": system:admin"))
		add("says "+header+" empty", get(header+":"))
		add("folds "+header, get(header+": a\n system:admin"))
		add("hides "+header+" after a bare CR", get("X-A: b\r"+header+": system:admin"))
		add("hides "+header+" after a bare LF", strings.ReplaceAll(get("X-A: b\x01"+header+": system:admin"), "\x01", "\\n"))
	}
	for _, header := range []string{"X-Remote-User", "X-Remote-Group", "X-Remote-Uid", "X-Remote-Extra-Scopes"} {
		for _, spelling := range spellings(header) {
			add("front proxy "+spelling, get(spelling+": system:admin"))
		}
	}
	for _, header := range []string{"Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Authorization", "Host"} {
		for _, connection := range connections(header) {
			add("drops by "+connection, get(connection))
		}
	}
	for _, second := range []string{"Authorization: Bearer x", "authorization: Basic YWRtaW46YWRtaW4=", "Authorization:", "Authorization_: Bearer x", "Proxy-Authorization: Bearer x", "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA"} {
		add("two tokens "+second, get(second))
	}
	for _, header := range []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Uri: /", "X-Original-URL: /", "X-Rewrite-URL: /admin", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1", "Cookie: user=admin", "X-Forwarded-User: admin", "X-Forwarded-Client-Cert: By=admin"} {
		add("claims "+header, get(header))
	}
	return append(list, smuggled()...)
}

// smuggled hide a request in another.
func smuggled() []Attack {
	var list []Attack
	inner := "GET /smuggled HTTP/1.1\nHost: x\nImpersonate-User: system:admin\n\n"
	post := func(headers, body string) string {
		return "POST /api/v1/pods HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n" + headers + "\n\n" + body
	}
	chunked := "0\n\n" + inner
	for _, headers := range []string{
		"Content-Length: 4\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nContent-Length: 4", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
		"Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked\nTransfer-Encoding: identity", "Transfer-Encoding:\n chunked", "transfer-encoding: CHUNKED", "Transfer_Encoding: chunked", "Content-Length: 0\nContent-Length: 5", "Content-Length: +5", "Content-Length: 5 ", "Content-Length: 0x5",
		"Content-Length: -1", "Content-Length: 5, 5", "Content-Length: 5\nContent_Length: 0", "Expect: 100-continue\nContent-Length: 5", "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
	} {
		list = append(list, Attack{"smuggles with " + headers, post(headers, chunked)})
	}
	for _, body := range []string{"5;a=b\nhello\n0\nImpersonate-User: system:admin\n\n", "0\nImpersonate-User: system:admin\nAuthorization: Bearer x\n\n", "5\nhello\n0;\x01\n\n" + inner, "ffffffffffffffff\nx", "-1\nx\n0\n\n", "5\nhelloX0\n\n" + inner, "0 \n\n" + inner, "00000000000000000000\n\n" + inner} {
		list = append(list, Attack{"trailer or chunk " + fmt.Sprintf("%.20q", body), post("Transfer-Encoding: chunked\nTrailer: Impersonate-User, Authorization", body)})
	}
	for _, line := range []string{
		"GET http://kubernetes.default/api HTTP/1.1", "GET //api HTTP/1.1", "GET /api/../../admin HTTP/1.1", "GET /api/%2e%2e/admin HTTP/1.1", "GET /api;Impersonate-User=admin HTTP/1.1", "GET /api?Impersonate-User=system:admin HTTP/1.1", "GET /api?access_token=x HTTP/1.1",
		"GET\t/api HTTP/1.1", "GET  /api HTTP/1.1", "GET /api HTTP/1.1 ", "GET /api HTTP/2.0", "GET /api HTTP/1.0", "GET /api", "CONNECT kubernetes.default:443 HTTP/1.1", "TRACE /api HTTP/1.1", "G\x00T /api HTTP/1.1", "GET /\x00api HTTP/1.1", "GET /api#Impersonate-User HTTP/1.1", "GET * HTTP/1.1", "OPTIONS * HTTP/1.1", "PRI * HTTP/2.0",
	} {
		list = append(list, Attack{"asks " + line, line + "\nHost: x\nAuthorization: Bearer TOKEN\nConnection: close\n\n" + inner})
	}
	for _, host := range []string{"Host: x\nHost: y", "Host:", "Host: x@y", "Host: x/../y", "Host: x y", "host: x\nHost : y"} {
		list = append(list, Attack{"host " + host, "GET /api HTTP/1.1\n" + host + "\nAuthorization: Bearer TOKEN\n\n"})
	}
	for _, upgrade := range []string{"foo", "h2c", "websocket, h2c", "SPDY/2", "SPDY/3.1\nUpgrade: websocket", "TLS/1.2", " ", "HTTP/2.0"} {
		list = append(list, Attack{"upgrades to " + upgrade, "GET /echo HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade\nUpgrade: " + upgrade + "\n\n" + inner})
	}
	return list
}
