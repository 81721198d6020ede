package frame

import "github.com/carillon-io/carillon/internal/eioproto"

// CompressFrom is the length from which a frame, or the answer to a poll, is worth compressing.
const CompressFrom = 1024

// Codec is how one session's packets look on the wire. It is chosen at the handshake and never changes.
type Codec struct {
	Revision eioproto.Revision // 0: plain, without Engine.IO
	Base64   bool              // the client asked for text only
	Deflate  bool              // the WebSocket's messages may be compressed
}

// Plain reports whether messages leave and arrive as they are.
func (c *Codec) Plain() bool { return c.Revision == 0 }

// Ping is what the server asks a client with whether it is there. Revision 3 has no such thing.
func (c *Codec) Ping() *Frame {
	if c.Plain() {
		return plainPing
	}
	return Ping
}

// Wire returns f as a frame of a WebSocket, which must not be changed.
func (c *Codec) Wire(f *Frame) []byte { return c.encoded(f).frame }

func (c *Codec) encoded(f *Frame) *encoded {
	which := formWire
	switch {
	case !f.binary:
	case c.Base64:
		which = c.base64Form()
	case c.Revision == 3:
		which = formTyped
	}
	if c.Deflate && !f.verbatim && len(f.wire.frame) >= CompressFrom {
		which += formDeflated
	}
	return f.form(which)
}

func (c *Codec) base64Form() int {
	if c.Revision == 3 {
		return formBase64R3
	}
	return formBase64
}

// Payload is the form of the payload that a batch leaves in by polling: in revision 3 one binary packet switches all.
func (c *Codec) Payload(batch []*Frame) eioproto.Form {
	if c.Revision == 4 {
		return eioproto.Separated
	}
	if !c.Base64 {
		for _, f := range batch {
			if f.binary {
				return eioproto.Octets
			}
		}
	}
	return eioproto.Lengths
}

// packet returns the packet of f as a payload holds it.
func (c *Codec) packet(f *Frame, form eioproto.Form) []byte {
	switch {
	case !f.binary:
		return f.wire.packet()
	case form == eioproto.Octets:
		return f.form(formTyped).packet()
	}
	return f.form(c.base64Form()).packet()
}

// Encode hands the payload of a batch to emit piece by piece; emit must not keep or change them.
func (c *Codec) Encode(batch []*Frame, emit func([]byte)) {
	var lead [24]byte
	form := c.Payload(batch)
	for i, f := range batch {
		packet := c.packet(f, form)
		emit(form.AppendLead(lead[:0], i, packet, f.binary))
		emit(packet)
	}
}

// EncodeEvents hands a batch of a plain session to emit as parts of an event stream. What only Engine.IO has, such as its close
// packet, is left out; a ping is a comment.
func (c *Codec) EncodeEvents(batch []*Frame, emit func([]byte)) {
	for _, f := range batch {
		switch f.kind {
		case eioproto.Message:
			emit(f.wire.packet())
		case eioproto.Ping:
			emit(comment)
		}
	}
}

var comment = []byte(":\n\n")
