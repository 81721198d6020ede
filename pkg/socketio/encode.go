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

// frames encodes a packet: its text, then its attachments.
func frames(p *packet.Packet) []*engine.Frame { return framesSince(p, time.Time{}) }

// framesSince is frames for a packet that came in from the cluster at received.
func framesSince(p *packet.Packet, received time.Time) []*engine.Frame {
	list := make([]*engine.Frame, 0, 1+len(p.Attachments))
	list = append(list, textFrame(p, received))
	for _, a := range p.Attachments {
		list = append(list, engine.NewFrame(a, true, received))
	}
	return list
}

// textFrame encodes a packet's text.
func textFrame(p *packet.Packet, received time.Time) *engine.Frame {
	buf := buffers.Get().(*[]byte)
	*buf = packet.AppendText((*buf)[:0], p)
	f := engine.NewFrame(*buf, false, received) // which copies
	if cap(*buf) <= maxKept {
		buffers.Put(buf)
	}
	return f
}

// maxKept is the largest buffer that is used again: one huge packet must not be paid for ever after.
const maxKept = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// connectFrame is the answer to a CONNECT. 2.x clients are told no id.
func (s *Socket) connectFrame() *engine.Frame {
	p := packet.Packet{Type: packet.Connect, Namespace: s.name}
	if s.client.session.Revision() != 3 {
		p.Data = append(packet.AppendString([]byte(`{"sid":`), s.id), '}')
	}
	return textFrame(&p, time.Time{})
}

// refusalFrame is the CONNECT_ERROR for cause: its message and data as an object. 2.x clients get the data alone, or
// the message where there is none.
func (s *Socket) refusalFrame(cause error) *engine.Frame {
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
	return textFrame(&p, time.Time{})
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

// tellDisconnect queues a DISCONNECT.
func (s *Socket) tellDisconnect() {
	s.client.session.Send(false, textFrame(&packet.Packet{Type: packet.Disconnect, Namespace: s.name}, time.Time{}))
}
