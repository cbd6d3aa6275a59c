package recorder

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// webSocketDecoder decodes one direction of a WebSocket connection (RFC 6455 section 5.2) in which each
// message begins with its channel number.
type webSocketDecoder struct {
	handle channelHandler
	base64 bool

	header      []byte // the bytes of an incomplete frame header
	opcode      byte
	final       bool
	mask        []byte
	unmasked    int // payload bytes that have been unmasked
	payloadLeft uint64

	channelKnown bool // the first byte of the message was read
	channel      channel
	base64Text   []byte // the message so far, if it is in base64
}

// Opcodes of data frames.
const (
	continuation = 0
	textMessage  = 1
	binaryFrame  = 2
)

// maxMessage bounds a message in base64, in bytes, because it is decoded as a whole.
const maxMessage = 1 << 20

func (f *webSocketDecoder) decode(p []byte) error {
	for len(p) > 0 {
		if f.payloadLeft == 0 {
			f.header = append(f.header, p[0])
			p = p[1:]
			if err := f.parseHeader(); err != nil {
				return err
			}
			continue
		}
		n := min(f.payloadLeft, uint64(len(p)))
		if err := f.payload(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// parseHeader parses a frame header once it is complete.
func (f *webSocketDecoder) parseHeader() error {
	const long, veryLong, maskSize = 126, 127, 4
	if len(f.header) < 2 {
		return nil
	}
	want, short := 2, f.header[1]&0x7f
	switch short {
	case long:
		want += 2
	case veryLong:
		want += 8
	}
	lengthEnd := want
	if f.header[1]&0x80 != 0 {
		want += maskSize
	}
	if len(f.header) < want {
		return nil
	}
	if f.header[0]&0x70 != 0 {
		return errors.New("decoding WebSocket frames: they are compressed")
	}
	f.final, f.opcode, f.payloadLeft = f.header[0]&0x80 != 0, f.header[0]&0x0f, uint64(short)
	switch short {
	case long:
		f.payloadLeft = uint64(binary.BigEndian.Uint16(f.header[2:lengthEnd]))
	case veryLong:
		f.payloadLeft = binary.BigEndian.Uint64(f.header[2:lengthEnd])
	}
	f.mask, f.unmasked = append(f.mask[:0], f.header[lengthEnd:want]...), 0
	f.header = f.header[:0]
	if f.payloadLeft == 0 {
		return f.endFrame()
	}
	return nil
}

// payload handles a part of a frame's payload.
func (f *webSocketDecoder) payload(p []byte) error {
	f.payloadLeft -= uint64(len(p))
	if f.opcode > binaryFrame { // a ping, pong or close frame
		return nil
	}
	if len(f.mask) > 0 {
		plain := make([]byte, len(p))
		for i, b := range p {
			plain[i] = b ^ f.mask[(f.unmasked+i)%len(f.mask)]
		}
		f.unmasked += len(p)
		p = plain
	}
	if err := f.message(p); err != nil {
		return err
	}
	if f.payloadLeft == 0 {
		return f.endFrame()
	}
	return nil
}

func (f *webSocketDecoder) message(p []byte) error {
	if !f.channelKnown && len(p) > 0 {
		f.channelKnown, f.channel = true, channel(p[0])
		if f.base64 {
			f.channel -= '0'
		}
		p = p[1:]
	}
	if len(p) == 0 {
		return nil
	}
	if !f.base64 {
		return f.handle(f.channel, p)
	}
	if f.base64Text = append(f.base64Text, p...); len(f.base64Text) > maxMessage {
		return errors.New("decoding WebSocket frames: a base64 message is too long")
	}
	return nil
}

// endFrame ends a frame and, if it is the last one, its message.
func (f *webSocketDecoder) endFrame() error {
	if f.opcode > binaryFrame || !f.final {
		return nil
	}
	text, c := f.base64Text, f.channel
	f.channelKnown, f.base64Text = false, nil
	if len(text) == 0 {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return errors.New("decoding WebSocket frames: a message is not valid base64")
	}
	return f.handle(c, plain)
}
