package socketio

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// encodeEvent makes the list of an event of the application's.
func encodeEvent(event string, args []any) (packet.Args, error) {
	if packet.ReservedEvent(event) {
		return packet.Args{}, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	var b packet.Builder
	b.Literal("[")
	b.String(event)
	for i, arg := range args {
		b.Literal(",")
		if err := b.Value(arg); err != nil {
			return packet.Args{}, fmt.Errorf("socketio: encode argument %d of %q: %w", i, event, err)
		}
	}
	b.Literal("]")
	list, err := b.Args()
	if err != nil {
		return packet.Args{}, fmt.Errorf("socketio: encode arguments of %q: %w", event, err)
	}
	return list, nil
}

// checkEvent refuses a list that no client would take for an event.
func checkEvent(args packet.Args) error {
	name, ok := args.Name()
	if !ok {
		return fmt.Errorf("socketio: first argument is not an event name: %.40q", args.JSON)
	}
	if packet.ReservedEvent(name) {
		return fmt.Errorf("%w: %q", ErrReservedEvent, name)
	}
	return nil
}

// outgoing is a packet on its way to one socket or many. Each wire form is made once, when the first socket needs it.
// It is not safe for concurrent use.
type outgoing struct {
	packet.Packet

	received   time.Time // when it came in from the cluster; else zero
	noCompress bool

	plain, msgpack []*engine.Frame
	event          Event // what sockets' listeners are told; made when the first has one
}

// frames returns the packet as the socket's parser has it; none when that parser cannot carry it.
func (o *outgoing) frames(s *Socket) []*engine.Frame {
	if !s.msgpack {
		if o.plain == nil {
			o.plain = make([]*engine.Frame, 0, 1+len(o.Attachments)) // its own, so that the rest may stay on the stack
			o.plain = append(o.plain, o.textFrame())
			for _, a := range o.Attachments {
				o.plain = append(o.plain, o.frame(a, true))
			}
		}
		return o.plain
	}
	if o.msgpack == nil {
		o.msgpack = []*engine.Frame{}
		f, err := o.msgpackFrame()
		if err != nil {
			s.client.io.metrics.dropped(dropEncoding)
			s.client.io.log.Error("packet cannot be written as msgpack", zap.Error(err))
			return nil
		}
		o.msgpack = append(o.msgpack, f)
	}
	return o.msgpack
}

// eventPacket is an event for the sockets of a namespace.
func eventPacket(nsp string, args packet.Args) outgoing {
	return outgoing{Packet: packet.Packet{
		Type: packet.Event, Namespace: nsp, Data: args.JSON, Attachments: args.Attachments,
	}}
}

// asEvent is the event as listeners are told of it.
func (o *outgoing) asEvent() Event {
	if o.event.Name == "" {
		args := o.Args()
		name, _ := args.Name()
		o.event = Event{Name: name, Args: args.Tail()}
	}
	return o.event
}

// textFrame encodes the packet's text.
func (o *outgoing) textFrame() *engine.Frame {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	*buf = packet.AppendText((*buf)[:0], &o.Packet)
	return o.frame(*buf, false)
}

// msgpackFrame encodes the packet whole.
func (o *outgoing) msgpackFrame() (*engine.Frame, error) {
	buf := buffers.Get().(*[]byte)
	defer keep(buf)
	var err error
	if *buf, err = packet.AppendMsgpack((*buf)[:0], &o.Packet); err != nil {
		return nil, err
	}
	return o.frame(*buf, true), nil
}

// frame is one message of the packet. data is copied.
func (o *outgoing) frame(data []byte, binary bool) *engine.Frame {
	f := engine.NewFrame(data, binary, o.received)
	if o.noCompress {
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

// connectPacket is the answer to a CONNECT. 2.x clients are told no id.
func (s *Socket) connectPacket() packet.Packet {
	p := packet.Packet{Type: packet.Connect, Namespace: s.name}
	if s.client.session.Revision() != 3 {
		p.Data = append(packet.AppendString([]byte(`{"sid":`), s.id), '}')
	}
	return p
}

// refusalPacket is the CONNECT_ERROR for cause: its message and data as an object. 2.x clients get the data alone, or
// the message where there is none.
func (s *Socket) refusalPacket(cause error) packet.Packet {
	p := packet.Packet{Type: packet.ConnectError, Namespace: s.name}
	message, data := cause.Error(), []byte(nil)
	var refusal *ConnectError
	if errors.As(cause, &refusal) {
		message = refusal.Message
		if refusal.Data != nil {
			data = s.client.io.jsonOf(refusal.Data)
		}
	}
	switch {
	case s.client.session.Revision() != 3 || errors.Is(cause, errInvalidNamespace):
		p.Data = packet.AppendString([]byte(`{"message":`), message)
		if data != nil {
			p.Data = append(append(p.Data, `,"data":`...), data...)
		}
		p.Data = append(p.Data, '}')
	case data != nil:
		p.Data = data
	default:
		p.Data = packet.AppendString(nil, message)
	}
	return p
}

// jsonOf writes a value of the application's for others to read; nil when it cannot be written without attachments.
func (io *Server) jsonOf(v any) []byte {
	list, err := packet.Marshal(v)
	text, _ := list.At(0)
	if err == nil && len(list.Attachments) > 0 {
		err = errors.New("binary data has no place there")
	}
	if err != nil {
		io.log.Error("value cannot be written as JSON", zap.String("type", fmt.Sprintf("%T", v)), zap.Error(err))
		return nil
	}
	return text
}
