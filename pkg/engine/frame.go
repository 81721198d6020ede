package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// The first byte of an unfragmented WebSocket frame.
const (
	wsText   = wsframe.Final | wsframe.Text
	wsBinary = wsframe.Final | wsframe.Binary
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

// encoded is one packet inside one WebSocket frame.
type encoded struct {
	frame  []byte
	header int
}

func (e *encoded) packet() []byte { return e.frame[e.header:] }

// forms are the encodings of a message that not every recipient needs.
type forms struct {
	made        [2 * formDeflated]atomic.Pointer[encoded]
	compressing sync.Mutex // held while a deflated one is made: once is enough
}

const (
	formWire     = iota // Frame.wire, never among forms
	formTyped           // revision 3: a binary frame whose first byte is the packet type
	formBase64          // revision 4 without binary: b<base64>
	formBase64R3        // revision 3 without binary: b4<base64>
	formDeflated        // added to one of the others: the same compressed
)

// Frames without content, shared by all sessions. Revision 3 and 4 write them alike.
var (
	framePing  = newFrame(eioproto.Ping, nil)
	framePong  = newFrame(eioproto.Pong, nil)
	frameNoop  = newFrame(eioproto.Noop, nil)
	frameClose = newFrame(eioproto.Close, nil)

	// framePlainPing is the ping of plain sessions, a control frame of WebSocket's own.
	framePlainPing = &Frame{wire: encode(wsframe.Final|wsframe.Ping, "", nil), kind: eioproto.Ping}
)

// NewFrame makes the frame of one message. data is copied. received is when the publish it stems from came in, for
// carillon_delivery_seconds; zero: not measured.
func NewFrame(data []byte, binary bool, received time.Time) *Frame {
	var f *Frame
	if binary {
		f = &Frame{wire: encode(wsBinary, "", data), kind: eioproto.Message, binary: true}
	} else {
		f = newFrame(eioproto.Message, data)
	}
	return f.stamp(received)
}

// NewPlainFrame is NewFrame for plain sessions, where data leaves as it is: as a text or binary frame of a WebSocket, or as
// a part of an event stream. It is not for sessions that speak Engine.IO, nor NewFrame for these.
func NewPlainFrame(data []byte, binary bool, received time.Time) *Frame {
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

func newFrame(kind byte, data []byte) *Frame {
	return &Frame{wire: encode(wsText, string(kind), data), kind: kind}
}

// frameOverhead is the memory that a frame takes beside its bytes: the Frame, a place in a queue that grows, and what the
// allocator rounds up.
const frameOverhead = 96

// size is what the frame counts in an outbox: the memory it holds, which for small ones is mostly overhead. One that several
// outboxes hold counts in each of them.
func (f *Frame) size() int { return len(f.wire.frame) + frameOverhead }

// form returns one of the encodings. It is apart from other because of its stack: a flusher that only calls form stays within
// the 2 KiB that a goroutine begins with, and having them doubled costs as much as all else that a flusher does.
func (f *Frame) form(which int) *encoded {
	if which == formWire {
		return &f.wire
	}
	return f.other(which)
}

// other returns an encoding that is made when it is asked for first. Two recipients may make a cheap one at the same time;
// either result serves.
func (f *Frame) other(which int) *encoded {
	all := f.forms.Load()
	if all == nil {
		f.forms.CompareAndSwap(nil, new(forms))
		all = f.forms.Load()
	}
	if e := all.made[which].Load(); e != nil {
		return e
	}
	if which >= formDeflated {
		all.compressing.Lock()
		defer all.compressing.Unlock()
		if e := all.made[which].Load(); e != nil {
			return e
		}
		e := deflated(f.form(which - formDeflated))
		all.made[which].Store(e)
		return e
	}
	var e encoded
	data := f.wire.packet()
	switch which {
	case formTyped:
		e = encode(wsBinary, "", eioproto.Revision(3).AppendBinary(nil, data))
	case formBase64:
		e = encode(wsText, "", eioproto.Revision(4).AppendBase64(nil, data))
	case formBase64R3:
		e = encode(wsText, "", eioproto.Revision(3).AppendBase64(nil, data))
	}
	all.made[which].Store(&e)
	return &e
}

// deflated returns the same frame compressed, or itself where that saves nothing.
func deflated(e *encoded) *encoded {
	payload := wsframe.Deflate(e.packet())
	if payload == nil {
		return e
	}
	compressed := encode(e.frame[0]|wsframe.Compressed, "", payload)
	return &compressed
}

// encode builds a WebSocket frame with prefix and data as its payload.
func encode(first byte, prefix string, data []byte) encoded {
	n := len(prefix) + len(data)
	header := wsframe.HeaderSize(n)
	return encoded{frame: wsframe.Append(make([]byte, 0, header+n), first, prefix, data), header: header}
}
