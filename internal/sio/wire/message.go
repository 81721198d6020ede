// Package wire turns packets into frames: a packet that goes to many clients is encoded once for each form.
package wire

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/native"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Message is a packet on its way to one socket or many. Each wire form is made once, when the first socket needs it.
// It is not safe for concurrent use.
type Message struct {
	packet.Packet

	Received   time.Time // when it came from the cluster; else zero
	NoCompress bool
	// Offset is the place of an event in the log of its namespace. It goes behind the arguments for clients that have a
	// session to recover; empty: for none.
	Offset string

	first  made   // most messages are read in one form only
	others []made // a copy of the message has the same: what is made later is appended to a list of its own
	name   string // of the event; set with args
	args   packet.Args
}

// made is the packet in one form.
type made struct {
	form   Form
	frames []*engine.Frame // nil until made
}

// Event is an event for the sockets of a namespace; args begins with its name.
func Event(nsp string, args packet.Args) Message {
	return Message{Packet: packet.Packet{
		Type: packet.Event, Namespace: nsp, Data: args.JSON, Attachments: args.Attachments,
	}}
}

// Form is how a client reads packets; zero is the text of Socket.IO's default parser.
type Form uint8

// The other forms.
const (
	Msgpack  Form = 1 << 0 // Socket.IO's msgpack parser
	Numbered Form = 1 << 1 // the client has a session to recover: its events end with their offset

	protocolShift = 2 // a protocol of internal/native is one of the values above it
)

// FormOf is the form of a protocol without Socket.IO's packets.
func FormOf(protocol native.Protocol) Form { return (Form(protocol) + 1) << protocolShift }

// Acknowledges reports whether clients of the form can acknowledge events.
func (f Form) Acknowledges() bool {
	protocol, native := f.protocol()
	return !native || protocol.Acknowledges()
}

// protocol is the inverse of FormOf.
func (f Form) protocol() (p native.Protocol, ok bool) {
	n := f >> protocolShift
	return native.Protocol(n - 1), n > 0
}

// Frames returns the packet as a client reads it. There are none when its form cannot carry the packet; failed is called then,
// for the first such client, if that is a fault.
func (m *Message) Frames(form Form, failed func(error)) []*engine.Frame {
	if m.Offset == "" {
		form &^= Numbered
	}
	if m.first.form == form && m.first.frames != nil {
		return m.first.frames
	}
	for i := range m.others {
		if m.others[i].form == form {
			return m.others[i].frames
		}
	}
	frames := m.make(form, failed)
	if m.first.frames == nil {
		m.first = made{form, frames}
	} else {
		m.others = append(slices.Clip(m.others), made{form, frames})
	}
	return frames
}

// make encodes the packet. The list is not nil.
func (m *Message) make(form Form, failed func(error)) []*engine.Frame {
	frames := make([]*engine.Frame, 0, 1+len(m.Attachments)) // its own, so that the rest may stay on the stack
	if protocol, ok := form.protocol(); ok {
		if f := m.nativeFrame(protocol); f != nil {
			frames = append(frames, f)
		}
		return frames
	}
	p := m.Packet
	if form&Numbered != 0 {
		p.Data = appendArgument(p.Data, m.Offset)
	}
	if form&Msgpack != 0 {
		f, err := m.msgpackFrame(&p)
		if err != nil {
			failed(err)
			return frames
		}
		return append(frames, f)
	}
	frames = append(frames, m.textFrame(&p))
	for _, a := range m.Attachments {
		frames = append(frames, m.frame(a, true))
	}
	return frames
}

// appendArgument returns a list of arguments with one more behind them, which needs no escaping.
func appendArgument(list []byte, text string) []byte {
	end := bytes.LastIndexByte(list, ']')
	if end < 0 {
		return list
	}
	longer := make([]byte, 0, end+len(text)+4)
	longer = append(longer, list[:end]...)
	if len(bytes.TrimSpace(list[:end])) > 1 {
		longer = append(longer, ',')
	}
	longer = append(append(longer, '"'), text...)
	return append(longer, '"', ']')
}

// AsEvent returns the event's name and its arguments without the name.
func (m *Message) AsEvent() (name string, args packet.Args) {
	if m.name == "" {
		list := m.Args()
		m.name, _ = list.Name()
		m.args = list.Tail()
	}
	return m.name, m.args
}

// textFrame encodes the packet's text.
func (m *Message) textFrame(p *packet.Packet) *engine.Frame {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	*buf = packet.AppendText((*buf)[:0], p)
	return m.frame(*buf, false)
}

// msgpackFrame encodes the packet whole.
func (m *Message) msgpackFrame(p *packet.Packet) (*engine.Frame, error) {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	var err error
	if *buf, err = packet.AppendMsgpack((*buf)[:0], p); err != nil {
		return nil, err
	}
	return m.frame(*buf, true), nil
}

// nativeFrame encodes the packet for clients without Socket.IO; nil where their protocol has nothing for it.
func (m *Message) nativeFrame(protocol native.Protocol) *engine.Frame {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	out, binary, ok := native.Append((*buf)[:0], protocol, &m.Packet)
	if *buf = out; !ok {
		return nil
	}
	f := engine.NewPlainFrame(out, binary, m.Received)
	if m.NoCompress {
		f.Uncompressed()
	}
	return f
}

// frame is one message of the packet. data is copied.
func (m *Message) frame(data []byte, binary bool) *engine.Frame {
	f := engine.NewFrame(data, binary, m.Received)
	if m.NoCompress {
		f.Uncompressed()
	}
	return f
}

// maxKept is the largest buffer that is used again: one huge packet must not be paid for ever after.
const maxKept = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func keep(buf *[]byte) {
	if cap(*buf) <= maxKept {
		buffers.Put(buf)
	}
}
