// Package eioproto is what Engine.IO puts on the wire, in protocol revisions 3 and 4, as pure code: packets, the payloads
// of the polling transport, and JSONP.
package eioproto

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// The packet types, as the character that leads a text packet.
const (
	Open    = '0'
	Close   = '1'
	Ping    = '2'
	Pong    = '3'
	Message = '4'
	Upgrade = '5'
	Noop    = '6'
)

// ErrMalformed: the client has sent what is no packet or payload.
var ErrMalformed = errors.New("malformed Engine.IO payload")

// Packet is one packet of a client. Data belongs to the buffer it was read into.
type Packet struct {
	Type   byte
	Binary bool
	Data   []byte
}

// Revision is the protocol revision, 3 or 4.
type Revision uint8

// The prefixes of a binary message where it must differ from its bytes.
const (
	octetPrefix    = "\x04" // revision 3: the packet type
	base64Prefix   = "b"
	base64Prefix3  = "b4"
	largestOfTypes = Noop - Open
)

// AppendBinary appends the packet of a binary message as a binary WebSocket frame, or a payload of octets, has it.
func (r Revision) AppendBinary(dst, data []byte) []byte {
	if r == 3 {
		dst = append(dst, octetPrefix...)
	}
	return append(dst, data...)
}

// AppendBase64 appends the packet of a binary message as text.
func (r Revision) AppendBase64(dst, data []byte) []byte {
	prefix := base64Prefix
	if r == 3 {
		prefix = base64Prefix3
	}
	return base64.StdEncoding.AppendEncode(append(dst, prefix...), data)
}

// DecodeText reads one text packet, of a payload or of a WebSocket frame. It may change text.
func (r Revision) DecodeText(text []byte) (Packet, error) {
	if len(text) == 0 {
		return Packet{}, ErrMalformed
	}
	switch t := text[0]; {
	case t >= Open && t <= Noop:
		return Packet{Type: t, Data: text[1:]}, nil
	case t != 'b':
		return Packet{}, ErrMalformed
	}
	p := Packet{Type: Message, Binary: true}
	text = text[1:]
	if r == 3 {
		if len(text) == 0 || text[0] < Open || text[0] > Noop {
			return Packet{}, ErrMalformed
		}
		p.Type, text = text[0], text[1:]
	}
	var err error
	p.Data, err = fromBase64(text)
	return p, err
}

// DecodeBinary reads one binary WebSocket frame. ok is false for one that is to be ignored.
func (r Revision) DecodeBinary(data []byte) (p Packet, ok bool) {
	if r == 4 {
		return Packet{Type: Message, Binary: true, Data: data}, true
	}
	if len(data) == 0 || data[0] > largestOfTypes {
		return Packet{}, false
	}
	return Packet{Type: Open + data[0], Binary: true, Data: data[1:]}, true
}

// fromBase64 decodes in place. As Node does, it takes both alphabets, does without padding, and skips white space: the
// official Java client breaks lines, and ends the last one behind the padding.
func fromBase64(text []byte) ([]byte, error) {
	kept := text[:0]
	for _, b := range text {
		switch b {
		case ' ', '\t', '\n', '\v', '\f', '\r':
			continue
		case '-':
			b = '+'
		case '_':
			b = '/'
		}
		kept = append(kept, b)
	}
	kept = bytes.TrimRight(kept, "=")
	n, err := base64.RawStdEncoding.Decode(kept, kept)
	if err != nil {
		return nil, ErrMalformed
	}
	return kept[:n], nil
}
