package recorder

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// frames reads one direction of a WebSocket connection (RFC 6455 section 5.2) in which each
// message begins with the number of a channel.
type frames struct {
	take   channels
	base64 bool

	head   []byte // of a frame, as far as it has come
	opcode byte
	final  bool
	mask   []byte
	masked int // how many bytes of the payload have been unmasked
	left   uint64

	begun   bool // the channel of a message is known
	channel channel
	text    []byte // of a message in base64
}

// Opcodes of frames that carry messages.
const (
	continuation = 0
	textMessage  = 1
	binaryFrame  = 2
)

// maxMessage bounds a message in base64, in bytes: it is decoded as a whole.
const maxMessage = 1 << 20

func (f *frames) decode(p []byte) error {
	for len(p) > 0 {
		if f.left == 0 {
			f.head = append(f.head, p[0])
			p = p[1:]
			if err := f.header(); err != nil {
				return err
			}
			continue
		}
		n := min(f.left, uint64(len(p)))
		if err := f.payload(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// header reads a head once all of it is there.
func (f *frames) header() error {
	const long, veryLong, maskSize = 126, 127, 4
	if len(f.head) < 2 {
		return nil
	}
	want, short := 2, f.head[1]&0x7f
	switch short {
	case long:
		want += 2
	case veryLong:
		want += 8
	}
	lengthEnd := want
	if f.head[1]&0x80 != 0 {
		want += maskSize
	}
	if len(f.head) < want {
		return nil
	}
	if f.head[0]&0x70 != 0 {
		return errors.New("recording: the frames are compressed")
	}
	f.final, f.opcode, f.left = f.head[0]&0x80 != 0, f.head[0]&0x0f, uint64(short)
	switch short {
	case long:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:lengthEnd]))
	case veryLong:
		f.left = binary.BigEndian.Uint64(f.head[2:lengthEnd])
	}
	f.mask, f.masked = append(f.mask[:0], f.head[lengthEnd:want]...), 0
	f.head = f.head[:0]
	if f.left == 0 {
		return f.end()
	}
	return nil
}

// payload takes a piece of a frame.
func (f *frames) payload(p []byte) error {
	f.left -= uint64(len(p))
	if f.opcode > binaryFrame { // ping, pong, close
		return nil
	}
	if len(f.mask) > 0 {
		plain := make([]byte, len(p))
		for i, b := range p {
			plain[i] = b ^ f.mask[(f.masked+i)%len(f.mask)]
		}
		f.masked += len(p)
		p = plain
	}
	if err := f.message(p); err != nil {
		return err
	}
	if f.left == 0 {
		return f.end()
	}
	return nil
}

func (f *frames) message(p []byte) error {
	if !f.begun && len(p) > 0 {
		f.begun, f.channel = true, channel(p[0])
		if f.base64 {
			f.channel -= '0'
		}
		p = p[1:]
	}
	if len(p) == 0 {
		return nil
	}
	if !f.base64 {
		return f.take(f.channel, p)
	}
	if f.text = append(f.text, p...); len(f.text) > maxMessage {
		return errors.New("recording: a message is too long")
	}
	return nil
}

// end ends a frame, and a message with its last one.
func (f *frames) end() error {
	if f.opcode > binaryFrame || !f.final {
		return nil
	}
	text, c := f.text, f.channel
	f.begun, f.text = false, nil
	if len(text) == 0 {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return errors.New("recording: a message is not in base64")
	}
	return f.take(c, plain)
}
