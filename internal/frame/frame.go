// Package frame has what a session sends: frames, each one message encoded once for all its recipients, and the codec that says
// in which of its encodings a frame leaves. It is pure.
package frame

import (
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// Frame is one outbound message, encoded once per wire form, immutable, shared by all its recipients.
type Frame struct {
	wire     encoded // as WebSocket revision 4 has it; its packet is also what polling sends of a text message
	kind     byte
	binary   bool
	verbatim bool  // never compressed
	received int64 // Unix nanoseconds; 0: not measured

	// forms holds what the other transports and revisions need, made when the first of them does.
	forms atomic.Pointer[forms]
}

// Frames without content, shared by all sessions. Revision 3 and 4 write them alike.
var (
	Ping  = New(eioproto.Ping, nil)
	Pong  = New(eioproto.Pong, nil)
	Noop  = New(eioproto.Noop, nil)
	Close = New(eioproto.Close, nil)

	// plainPing is the ping of plain sessions.
	plainPing = NewControl(wsframe.Ping, nil)
)

// NewMessage makes the frame of one message. data is copied. received is when the publish it stems from came in; zero: not
// measured.
func NewMessage(data []byte, binary bool, received time.Time) *Frame {
	var f *Frame
	if binary {
		f = &Frame{wire: encode(wsBinary, "", data), kind: eioproto.Message, binary: true}
	} else {
		f = New(eioproto.Message, data)
	}
	return f.stamp(received)
}

// NewPlain is NewMessage for plain sessions, where data leaves as it is: as a text or binary frame of a WebSocket, or as a part
// of an event stream.
func NewPlain(data []byte, binary bool, received time.Time) *Frame {
	first := byte(wsText)
	if binary {
		first = wsBinary
	}
	f := &Frame{wire: encode(first, "", data), kind: eioproto.Message, binary: binary}
	return f.stamp(received)
}

func (f *Frame) stamp(received time.Time) *Frame {
	if !received.IsZero() {
		f.received = received.UnixNano()
	}
	return f
}

// Uncompressed keeps the frame from being compressed, and returns it. It is called before the frame is sent first.
func (f *Frame) Uncompressed() *Frame {
	f.verbatim = true
	return f
}

// NewControl makes a control frame of WebSocket's own, a ping or a pong, with a payload of up to wsframe.MaxControl bytes.
func NewControl(opcode byte, payload []byte) *Frame {
	kind := byte(eioproto.Ping)
	if opcode == wsframe.Pong {
		kind = eioproto.Pong
	}
	return &Frame{wire: encode(wsframe.Final|opcode, "", payload), kind: kind}
}

// New makes the frame of a text packet; kind is its type as eioproto has it. data is copied.
func New(kind byte, data []byte) *Frame {
	return &Frame{wire: encode(wsText, string(kind), data), kind: kind}
}
