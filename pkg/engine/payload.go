package engine

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// separator stands between the packets of a revision 4 payload.
var separator = []byte{0x1e}

var errMalformed = errors.New("engine: malformed payload")

// packet is one inbound packet. data belongs to the buffer it was read into.
type packet struct {
	kind   byte
	binary bool
	data   []byte
}

// codec is how one session's packets look on the wire. It is chosen at the handshake and never changes.
type codec struct {
	revision uint8
	base64   bool   // the client asked for text only
	deflate  bool   // the WebSocket's messages may be compressed
	jsonp    bool   // polling answers are JavaScript calls
	callback string // the JSONP callback's index
}

// frame returns the WebSocket frame of f for this session.
func (c *codec) frame(f *Frame) *encoded {
	which := formWire
	switch {
	case !f.binary:
	case c.base64:
		which = c.base64Form()
	case c.revision == 3:
		which = formTyped
	}
	if c.deflate && !f.plain && f.size() >= compressFrom {
		which += formDeflated
	}
	return f.form(which)
}

func (c *codec) base64Form() int {
	if c.revision == 3 {
		return formBase64R3
	}
	return formBase64
}

// textPacket returns the packet of f as a text payload holds it.
func (c *codec) textPacket(f *Frame) []byte {
	if f.binary {
		return f.form(c.base64Form()).packet()
	}
	return f.wire.packet()
}

// octets reports whether a batch leaves as revision 3's binary payload: one binary packet switches the whole batch.
func (c *codec) octets(batch []*Frame) bool {
	if c.revision != 3 || c.base64 || c.jsonp {
		return false
	}
	for _, f := range batch {
		if f.binary {
			return true
		}
	}
	return false
}

// encode hands the payload of a batch to emit piece by piece; emit must not keep or change them.
func (c *codec) encode(batch []*Frame, emit func([]byte)) {
	switch {
	case c.octets(batch):
		encodeOctets(batch, emit)
	case c.revision == 3:
		c.encodeLengths(batch, emit)
	default:
		for i, f := range batch {
			if i > 0 {
				emit(separator)
			}
			emit(c.textPacket(f))
		}
	}
}

// decode hands the packets of a POST body to receive, in order, until one is malformed or receive returns false.
func (c *codec) decode(body []byte, octets bool, receive func(packet) bool) error {
	if octets {
		return decodeOctets(body, receive)
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if c.revision == 3 {
		return decodeLengths(body, receive)
	}
	for {
		part, rest, more := bytes.Cut(body, separator)
		p, err := c.decodeText(part)
		if err != nil {
			return err
		}
		if !receive(p) || !more {
			return nil
		}
		body = rest
	}
}

// decodeText reads one text packet, of a payload or of a WebSocket frame.
func (c *codec) decodeText(text []byte) (packet, error) {
	if len(text) == 0 {
		return packet{}, errMalformed
	}
	switch kind := text[0]; {
	case kind >= packetOpen && kind <= packetNoop:
		return packet{kind: kind, data: text[1:]}, nil
	case kind != 'b':
		return packet{}, errMalformed
	}
	p := packet{kind: packetMessage, binary: true}
	text = text[1:]
	if c.revision == 3 {
		if len(text) == 0 || text[0] < packetOpen || text[0] > packetNoop {
			return packet{}, errMalformed
		}
		p.kind, text = text[0], text[1:]
	}
	var err error
	p.data, err = fromBase64(text)
	return p, err
}

// decodeBinary reads one binary WebSocket frame; ok is false for one that is to be ignored.
func (c *codec) decodeBinary(data []byte) (p packet, ok bool) {
	if c.revision == 4 {
		return packet{kind: packetMessage, binary: true, data: data}, true
	}
	if len(data) == 0 || data[0] > packetNoop-packetOpen {
		return packet{}, false
	}
	return packet{kind: packetOpen + data[0], binary: true, data: data[1:]}, true
}

// fromBase64 decodes in place. As Node does, it takes both alphabets and does without padding.
func fromBase64(text []byte) ([]byte, error) {
	text = bytes.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	n, err := encoding.Decode(text, text)
	if err != nil {
		return nil, errMalformed
	}
	return text[:n], nil
}
