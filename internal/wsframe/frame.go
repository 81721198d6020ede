// Package wsframe is the frame layer of a WebSocket server (RFC 6455, and RFC 7692 without context takeover) as pure
// code: headers, masks, Close frames, compression, and a Reader that puts messages together from bytes. It does no I/O.
package wsframe

import (
	"encoding/binary"
	"math"
)

// The opcodes.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xa
)

// The bits that share a byte with the opcode or the length.
const (
	Final      = 0x80
	Compressed = 0x40

	bitsReserve = 0x30
	bitsOpcode  = 0x0f
	bitMasked   = 0x80
	bitControl  = 0x08
)

// MaxControl is the longest payload of a control frame.
const MaxControl = 125

// Header is the head of one frame of a client.
type Header struct {
	Size       int // of the head itself
	Opcode     byte
	Final      bool
	Compressed bool // of the message that this frame begins
	Mask       [4]byte
	Length     uint64 // of the payload
}

// Control reports whether it is the head of a control frame.
func (h *Header) Control() bool { return h.Opcode&bitControl != 0 }

// ParseHeader reads the head of a client's frame. ok is false when p does not hold all of it.
func ParseHeader(p []byte) (h Header, ok bool, err error) {
	if len(p) < 2 {
		return h, false, nil
	}
	h.Opcode, h.Final, h.Compressed = p[0]&bitsOpcode, p[0]&Final != 0, p[0]&Compressed != 0
	h.Length = uint64(p[1] &^ bitMasked)
	switch {
	case p[0]&bitsReserve != 0, p[1]&bitMasked == 0:
		return h, false, ProtocolError
	case h.Opcode > Binary && h.Opcode < Close, h.Opcode > Pong:
		return h, false, ProtocolError
	case h.Compressed && (h.Opcode == Continuation || h.Control()):
		return h, false, ProtocolError
	case h.Control() && (!h.Final || h.Length > MaxControl):
		return h, false, ProtocolError
	}
	h.Size = 2 + len(h.Mask)
	switch h.Length {
	case 126:
		h.Size += 2
	case 127:
		h.Size += 8
	}
	if len(p) < h.Size {
		return h, false, nil
	}
	switch h.Length {
	case 126:
		h.Length = uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		h.Length = binary.BigEndian.Uint64(p[2:])
		if h.Length > math.MaxInt64 {
			return h, false, ProtocolError
		}
	}
	copy(h.Mask[:], p[h.Size-len(h.Mask):])
	return h, true, nil
}

// Mask masks p, or undoes it. position is that of p's first byte in the payload of its frame.
func Mask(mask [4]byte, position int, p []byte) {
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

// Append appends a whole frame of a server, without a mask: the first byte, the length, and prefix and data as payload.
func Append(dst []byte, first byte, prefix string, data []byte) []byte {
	n := len(prefix) + len(data)
	switch HeaderSize(n) {
	case 2:
		dst = append(dst, first, byte(n))
	case 4:
		dst = binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
	}
	return append(append(dst, prefix...), data...)
}

// HeaderSize is the length of the head that Append writes for a payload of n bytes.
func HeaderSize(n int) int {
	switch {
	case n > math.MaxUint16:
		return 10
	case n > MaxControl:
		return 4
	}
	return 2
}
