// Package wire turns packets into frames: a packet that goes to many clients is encoded once for each parser.
package wire

import (
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Message is a packet on its way to one socket or many. Each wire form is made once, when the first socket needs it.
// It is not safe for concurrent use.
type Message struct {
	packet.Packet

	Received   time.Time // when it came from the cluster; else zero
	NoCompress bool

	text, msgpack []*engine.Frame
	name          string // of the event; set with args
	args          packet.Args
}

// Event is an event for the sockets of a namespace; args begins with its name.
func Event(nsp string, args packet.Args) Message {
	return Message{Packet: packet.Packet{
		Type: packet.Event, Namespace: nsp, Data: args.JSON, Attachments: args.Attachments,
	}}
}

// Frames returns the packet as a client's parser reads it. There are none when that parser cannot carry the packet;
// failed is called then, for the first such client.
func (m *Message) Frames(msgpack bool, failed func(error)) []*engine.Frame {
	if !msgpack {
		if m.text == nil {
			m.text = make([]*engine.Frame, 0, 1+len(m.Attachments)) // its own, so that the rest may stay on the stack
			m.text = append(m.text, m.textFrame())
			for _, a := range m.Attachments {
				m.text = append(m.text, m.frame(a, true))
			}
		}
		return m.text
	}
	if m.msgpack == nil {
		m.msgpack = []*engine.Frame{}
		f, err := m.msgpackFrame()
		if err != nil {
			failed(err)
			return nil
		}
		m.msgpack = append(m.msgpack, f)
	}
	return m.msgpack
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
func (m *Message) textFrame() *engine.Frame {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	*buf = packet.AppendText((*buf)[:0], &m.Packet)
	return m.frame(*buf, false)
}

// msgpackFrame encodes the packet whole.
func (m *Message) msgpackFrame() (*engine.Frame, error) {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	var err error
	if *buf, err = packet.AppendMsgpack((*buf)[:0], &m.Packet); err != nil {
		return nil, err
	}
	return m.frame(*buf, true), nil
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
