package attack

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// field is a header field of HTTP/2, as it is on the wire.
type field struct{ name, value string }

// frames is an attack over HTTP/2: fields after the good ones, or instead of some; and
// trailers.
type frameAttack struct {
	name     string
	pseudo   []field // instead of the usual ones
	fields   []field
	trailers []field
}

func frameAttacks() []frameAttack {
	usual := func(more ...field) []field {
		return append([]field{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/api/v1/pods"}}, more...)
	}
	list := []frameAttack{
		{name: "two methods", pseudo: usual(field{":method", "DELETE"})},
		{name: "two paths", pseudo: usual(field{":path", "/smuggled"})},
		{name: "two authorities", pseudo: usual(field{":authority", "y"})},
		{name: "unknown pseudo field", pseudo: usual(field{":impersonate-user", "system:admin"})},
		{name: "status of an answer", pseudo: usual(field{":status", "200"})},
		{name: "extended CONNECT", pseudo: []field{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/api"}}},
		{name: "CONNECT", pseudo: []field{{":method", "CONNECT"}, {":authority", "kubernetes.default:443"}}},
		{name: "no method", pseudo: usual()[1:]},
		{name: "a path with a line", pseudo: []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/api HTTP/1.1\r\nImpersonate-User: system:admin\r\nX: "}}},
		{name: "a method with a line", pseudo: []field{{":method", "GET /smuggled HTTP/1.1\r\nImpersonate-User: system:admin\r\n\r\nGET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/api"}}},
		{name: "a user name in the authority", pseudo: []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "system:admin@x"}, {":path", "/api"}}},
		{name: "a path of another host", pseudo: []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "https://elsewhere/api"}}},
		{name: "an empty path", pseudo: []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", ""}}},
		{name: "a late pseudo field", fields: []field{{"x-a", "b"}, {":path", "/smuggled"}}},
		{name: "te gzip", fields: []field{{"te", "gzip"}}},
		{name: "chunks", fields: []field{{"transfer-encoding", "chunked"}}},
		{name: "h2c", fields: []field{{"upgrade", "h2c"}, {"http2-settings", "x"}}},
		{name: "a second host", fields: []field{{"host", "y"}}},
		{name: "a second token", fields: []field{{"authorization", "Bearer x"}}},
	}
	for _, header := range []string{"impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-scopes", "impersonate-extra-a%2fb", "x-remote-user", "x-remote-group"} {
		for _, name := range []string{
			header, strings.ToUpper(header), strings.ReplaceAll(header, "-", "_"), header + " ", " " + header, header + "\x00", header + "\r\nx", header + ":", strings.Replace(header, "-", "--", 1), "connection: x\r\n" + header,
		} {
			list = append(list, frameAttack{name: "says " + name, fields: []field{{name, "system:admin"}}}, frameAttack{name: "trails " + name, trailers: []field{{name, "system:admin"}}})
		}
		list = append(
			list, frameAttack{name: "drops " + header, fields: []field{{"connection", header}}}, frameAttack{name: "keeps alive " + header, fields: []field{{"keep-alive", header}}}, frameAttack{name: "proxies " + header, fields: []field{{"proxy-connection", header}}},
			frameAttack{name: "a line in a value before " + header, fields: []field{{"x-a", "b\r\n" + header + ": system:admin"}}}, frameAttack{name: "a zero in a value of " + header, fields: []field{{header, "a\x00system:admin"}}},
		)
	}
	return list
}

// sendFrames sends one request and waits until the server has dealt with it.
func (s *Suite) sendFrames(f frameAttack) error {
	conn, err := tls.Dial("tcp", s.Address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	pseudo := f.pseudo
	if pseudo == nil {
		pseudo = []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/api/v1/pods"}}
	}
	head := append(append(append([]field{}, pseudo...), field{"authorization", "Bearer " + s.Token}), f.fields...)
	var compressed bytes.Buffer
	encoder := hpack.NewEncoder(&compressed)
	block := func(fields []field) []byte {
		compressed.Reset()
		for _, h := range fields {
			_ = encoder.WriteField(hpack.HeaderField{Name: h.name, Value: h.value})
		}
		return bytes.Clone(compressed.Bytes())
	}
	err = errors.Join(
		framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(head), EndHeaders: true, EndStream: f.trailers == nil}),
	)
	if f.trailers != nil {
		err = errors.Join(err, framer.WriteData(1, false, []byte("x")), framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(f.trailers), EndHeaders: true, EndStream: true}))
	}
	if err != nil {
		return nil // it hung up
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return nil
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			return nil
		case *http2.HeadersFrame:
			if frame.StreamEnded() {
				return nil
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return nil
			}
		}
	}
}
