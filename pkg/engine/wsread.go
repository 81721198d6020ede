package engine

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"unicode/utf8"
)

// The opcodes of WebSocket frames, and the bits that share a byte with them or with the length.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	bitFinal      = 0x80
	bitCompressed = 0x40
	bitsReserve   = 0x30
	bitsOpcode    = 0x0f
	bitMasked     = 0x80
	bitControl    = 0x08
)

// maxControl is the longest payload of a control frame.
const maxControl = 125

// violation is what a peer does that the WebSocket protocol or a limit forbids: the code to close with.
type violation uint16

const (
	violatesProtocol violation = 1002
	violatesUTF8     violation = 1007
	violatesLimit    violation = 1009
)

func (v violation) Error() string {
	switch v {
	case violatesUTF8:
		return "engine: text on the WebSocket is not UTF-8"
	case violatesLimit:
		return "engine: message exceeds the limit"
	}
	return "engine: malformed WebSocket frame"
}

// peerClose is the peer's Close frame: its code, or 0 when there is none.
type peerClose uint16

func (peerClose) Error() string { return "engine: the peer has closed the WebSocket" }

// errIdle: nothing has arrived, and the caller does not wait.
var errIdle = errors.New("engine: nothing to read")

// frameHeader is the head of one inbound frame.
type frameHeader struct {
	size       int // of the head itself
	opcode     byte
	final      bool
	compressed bool // the message this frame begins
	mask       [4]byte
	payload    uint64 // length
}

// parseHeader reads the head of a client's frame; ok is false when more bytes are needed to tell.
func parseHeader(p []byte) (h frameHeader, ok bool, err error) {
	if len(p) < 2 {
		return h, false, nil
	}
	h.opcode, h.final, h.compressed = p[0]&bitsOpcode, p[0]&bitFinal != 0, p[0]&bitCompressed != 0
	h.payload = uint64(p[1] &^ bitMasked)
	switch {
	case p[0]&bitsReserve != 0, p[1]&bitMasked == 0:
		return h, false, violatesProtocol
	case h.opcode > opBinary && h.opcode < opClose, h.opcode > opPong:
		return h, false, violatesProtocol
	case h.compressed && (h.opcode == opContinuation || h.opcode&bitControl != 0):
		return h, false, violatesProtocol
	case h.opcode&bitControl != 0 && (!h.final || h.payload > maxControl):
		return h, false, violatesProtocol
	}
	h.size = 2 + len(h.mask)
	switch h.payload {
	case 126:
		h.size += 2
	case 127:
		h.size += 8
	}
	if len(p) < h.size {
		return h, false, nil
	}
	switch h.payload {
	case 126:
		h.payload = uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		h.payload = binary.BigEndian.Uint64(p[2:])
		if h.payload > math.MaxInt64 {
			return h, false, violatesProtocol
		}
	}
	copy(h.mask[:], p[h.size-len(h.mask):])
	return h, true, nil
}

// unmask undoes the masking of p, whose first byte is at this position of its frame's payload.
func unmask(mask [4]byte, position int, p []byte) {
	var key [8]byte
	for i := range key {
		key[i] = mask[(position+i)&3]
	}
	word := binary.NativeEndian.Uint64(key[:])
	for len(p) >= 8 {
		binary.NativeEndian.PutUint64(p, binary.NativeEndian.Uint64(p)^word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= key[i&7]
	}
}

// assembly is a message that does not lie in the input buffer in one piece.
type assembly struct {
	opcode     byte
	compressed bool
	final      bool    // the frame that is arriving is the last one
	message    *[]byte // pooled
	mask       [4]byte
	position   int // in the frame's payload
	rest       int // of the frame's payload
}

// next returns the next message; it is valid until next is called again. Control frames that come before it are dealt
// with. Within a turn it does not wait: when no whole message has arrived it returns errIdle, and may be called again.
func (c *wsConn) next(limit int) (opcode byte, message []byte, err error) {
	c.tidy()
	for {
		if a := c.partial; a != nil && a.rest > 0 {
			if err := c.assemble(a); err != nil {
				return 0, nil, err
			}
			if a.rest == 0 && a.final {
				return c.deliver(a.opcode, a.compressed, *a.message, limit)
			}
			continue
		}
		h, ok, err := parseHeader(c.input.unread())
		if err != nil {
			return 0, nil, err
		}
		control := h.opcode&bitControl != 0
		if !ok || control && len(c.input.unread()) < h.size+int(h.payload) {
			if err := c.fill(); err != nil {
				return 0, nil, err
			}
			continue
		}
		if control {
			payload := c.input.take(h.size + int(h.payload))[h.size:]
			unmask(h.mask, 0, payload)
			if err := c.control(h.opcode, payload); err != nil {
				return 0, nil, err
			}
			continue
		}
		whole, err := c.begin(h, limit)
		if err != nil {
			return 0, nil, err
		}
		if whole != nil {
			return c.deliver(h.opcode, h.compressed, whole, limit)
		}
		if a := c.partial; a.rest == 0 && a.final {
			return c.deliver(a.opcode, a.compressed, *a.message, limit)
		}
	}
}

// tidy gives back what the message before has left.
func (c *wsConn) tidy() {
	if a := c.partial; a != nil && a.final && a.rest == 0 {
		c.dropPartial()
	}
	if c.inflated != nil {
		release(c.inflated)
		c.inflated = nil
	}
	if c.raw != nil && c.input != nil && c.input.empty() {
		c.input.release()
		c.input = nil
	}
}

func (c *wsConn) dropPartial() {
	release(c.partial.message)
	c.partial = nil
}

// drop gives up what was read, for good.
func (c *wsConn) drop() {
	if c.partial != nil {
		c.dropPartial()
	}
	c.input, c.inflated = nil, nil
}

// begin takes the head of a data frame from the input. A message that is there in one piece is returned in place, never
// nil; else c.partial is ready to take in the payload.
func (c *wsConn) begin(h frameHeader, limit int) (whole []byte, err error) {
	a := c.partial
	if (h.opcode == opContinuation) != (a != nil) || h.compressed && !c.codec.deflate {
		return nil, violatesProtocol
	}
	before := 0
	if a != nil {
		before = len(*a.message)
	}
	if h.payload > uint64(limit-before) {
		return nil, violatesLimit
	}
	n := int(h.payload)
	if a == nil && h.final && len(c.input.unread()) >= h.size+n {
		whole = c.input.take(h.size + n)[h.size:]
		unmask(h.mask, 0, whole)
		return whole, nil
	}
	c.input.take(h.size)
	if a == nil {
		a = &assembly{opcode: h.opcode, compressed: h.compressed, message: readBuffers.Get().(*[]byte)}
		*a.message = (*a.message)[:0]
		c.partial = a
	}
	a.final, a.mask, a.position, a.rest = h.final, h.mask, 0, n
	return nil, nil
}

// assemble adds to a message what has been read, or reads on into it.
func (c *wsConn) assemble(a *assembly) error {
	message := *a.message
	from := len(message)
	if unread := c.input.unread(); len(unread) > 0 {
		message = append(message, c.input.take(min(a.rest, len(unread)))...)
	} else {
		if len(message) == cap(message) {
			message = append(message, 0)[:from] // no more memory is spent than twice what has arrived
		}
		n, err := c.readInto(message[from:min(cap(message), from+a.rest)])
		if err != nil {
			return err
		}
		message = message[:from+n]
	}
	*a.message = message
	unmask(a.mask, a.position, message[from:])
	a.position += len(message) - from
	a.rest -= len(message) - from
	return nil
}

// deliver is next's answer for a whole message.
func (c *wsConn) deliver(opcode byte, compressed bool, message []byte, limit int) (byte, []byte, error) {
	if compressed {
		c.inflated = readBuffers.Get().(*[]byte)
		var err error
		if *c.inflated, err = inflate((*c.inflated)[:0], message, limit); err != nil {
			return 0, nil, err
		}
		message = *c.inflated
	}
	if opcode == opText && !utf8.Valid(message) {
		return 0, nil, violatesUTF8
	}
	return opcode, message, nil
}

// control deals with a control frame.
func (c *wsConn) control(opcode byte, payload []byte) error {
	switch opcode {
	case opPing:
		return c.answerPing(payload)
	case opClose:
		return parseClose(payload)
	}
	return nil // an unasked pong means nothing
}

// parseClose reads a Close frame's payload.
func parseClose(payload []byte) error {
	switch {
	case len(payload) == 0:
		return peerClose(0)
	case len(payload) == 1:
		return violatesProtocol
	}
	code := binary.BigEndian.Uint16(payload)
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code > 1014 && code < 3000, code > 4999:
		return violatesProtocol
	case !utf8.Valid(payload[2:]):
		return violatesUTF8
	}
	return peerClose(code)
}

// readInto reads from the connection into p, or into an input made when something is there, for a nil p.
func (c *wsConn) readInto(p []byte) (int, error) {
	switch {
	case c.turn != nil && c.drained:
		return 0, errIdle
	case c.raw != nil:
		return c.rawRead(p)
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}
