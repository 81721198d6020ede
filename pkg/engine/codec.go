package engine

import "github.com/carillon-io/carillon/internal/eioproto"

// codec is how one session's packets look on the wire. It is chosen at the handshake and never changes.
type codec struct {
	revision eioproto.Revision // 0: plain, without Engine.IO
	base64   bool              // the client asked for text only
	deflate  bool              // the WebSocket's messages may be compressed
}

// plain reports whether messages leave and arrive as they are.
func (c *codec) plain() bool { return c.revision == 0 }

// socketTransport names a WebSocket as the transport.
func (c *codec) socketTransport() string {
	if c.plain() {
		return transportNative
	}
	return transportWebSocket
}

// ping is what the server asks a client with whether it is there. Revision 3 has no such thing.
func (c *codec) ping() *Frame {
	if c.plain() {
		return framePlainPing
	}
	return framePing
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
	if c.deflate && !f.verbatim && len(f.wire.frame) >= compressFrom {
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

// payload is the form of the payload that a batch leaves in by polling: in revision 3 one binary packet switches all.
func (c *codec) payload(batch []*Frame) eioproto.Form {
	if c.revision == 4 {
		return eioproto.Separated
	}
	if !c.base64 {
		for _, f := range batch {
			if f.binary {
				return eioproto.Octets
			}
		}
	}
	return eioproto.Lengths
}

// packet returns the packet of f as a payload holds it.
func (c *codec) packet(f *Frame, form eioproto.Form) []byte {
	switch {
	case !f.binary:
		return f.wire.packet()
	case form == eioproto.Octets:
		return f.form(formTyped).packet()
	}
	return f.form(c.base64Form()).packet()
}

// encode hands the payload of a batch to emit piece by piece; emit must not keep or change them.
func (c *codec) encode(batch []*Frame, emit func([]byte)) {
	var lead [24]byte
	form := c.payload(batch)
	for i, f := range batch {
		packet := c.packet(f, form)
		emit(form.AppendLead(lead[:0], i, packet, f.binary))
		emit(packet)
	}
}
