package recorder

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// frames reads one direction of a WebSocket connection (RFC 6455 section 5.2) in which each
// message begins with the number of a channel.
type webSocketDecoder struct {
	handle channelHandler
	base64 bool

	header      []byte // of a frame, as far as it has come
	opcode      byte
	final       bool
	mask        []byte
	unmasked    int // how many bytes of the payload have been unmasked
	payloadLeft uint64

	channelKnown bool // the channel of a message is known
	channel      channel
	base64Text   []byte // of a message in base64
}

// Opcodes of frames that carry messages.
const (
	continuation = 0
	textMessage  = 1
	binaryFrame  = 2
)

// maxMessage bounds a message in base64, in bytes: it is decoded as a whole.
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

// header reads a head once all of it is there.
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
		return errors.New("recording: the frames are compressed")
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

// payload takes a piece of a frame.
func (f *webSocketDecoder) payload(p []byte) error {
	f.payloadLeft -= uint64(len(p))
	if f.opcode > binaryFrame { // ping, pong, close
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
		return errors.New("recording: a message is too long")
	}
	return nil
}

// end ends a frame, and a message with its last one.
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
		return errors.New("recording: a message is not in base64")
	}
	return f.handle(c, plain)
}
