package native

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// ErrInvalid is what all errors of a Decoder are. Their texts are for the client.
var ErrInvalid = errors.New("native: invalid message")

// Decoder reads what clients of a protocol send. The fields are static.
type Decoder struct {
	Protocol       Protocol
	MaxAttachments int // values of bytes in one message
	MaxDepth       int // of arrays and objects in each other, in a list of arguments
}

// Decode returns the packet that a message is: an Event, an Ack, or for a hello a Connect with the hello as its data. It has no
// namespace. The packet owns its memory: data is free again when Decode returns.
func (d Decoder) Decode(data []byte, binary bool) (packet.Packet, error) {
	switch {
	case d.Protocol == JSON && binary:
		return packet.Packet{}, fmt.Errorf("%w: a binary message has no meaning in %s; bytes are {\"$bytes\": \"<base64>\"}", ErrInvalid, Subprotocol)
	case d.Protocol == JSON:
		return d.object(data)
	case d.Protocol == Plain && binary:
		list := packet.AppendPlaceholder([]byte(`["message",`), 0)
		return packet.Packet{Type: packet.Event, Data: append(list, ']'), Attachments: [][]byte{bytes.Clone(data)}}, nil
	case d.Protocol == Plain && utf8.Valid(data):
		list := make([]byte, 0, len(data)+len(`["message",""]`))
		list = packet.AppendString(append(list, `["message",`...), string(data))
		return packet.Packet{Type: packet.Event, Data: append(list, ']')}, nil
	}
	return packet.Packet{}, fmt.Errorf("%w: the text is not UTF-8", ErrInvalid)
}

// object reads one object. It takes the way of a CONNECT's payload through the packet decoder, which checks UTF-8 and depth and
// resolves equal names, as for every client.
func (d Decoder) object(data []byte) (packet.Packet, error) {
	data = bytes.TrimLeft(data, " \t\r\n")
	decoder := packet.Decoder{MaxDepth: d.MaxDepth + 1}
	checked, ok, err := decoder.Text(append([]byte{'0'}, data...))
	if err != nil || !ok || len(checked.Data) == 0 || data[0] != '{' {
		return packet.Packet{}, fmt.Errorf("%w: not one JSON object of no more than %d levels", ErrInvalid, decoder.MaxDepth)
	}
	var have members
	if err := have.read(checked.Data); err != nil {
		return packet.Packet{}, err
	}
	return d.packet(&have)
}

// members are those of an object, nil where it has none.
type members struct{ hello, event, args, id, ack []byte }

func (m *members) read(object []byte) error {
	var unknown []byte
	packet.EachMember(object, func(name, value []byte) bool {
		switch string(name) {
		case `"hello"`:
			m.hello = value
		case `"event"`:
			m.event = value
		case `"args"`:
			m.args = value
		case `"id"`:
			m.id = value
		case `"ack"`:
			m.ack = value
		default:
			unknown = name
			return false
		}
		return true
	})
	if unknown != nil {
		return fmt.Errorf("%w: unknown member %.40s", ErrInvalid, unknown)
	}
	return nil
}

// packet makes a packet of members that fit each other.
func (d Decoder) packet(m *members) (p packet.Packet, err error) {
	switch {
	case m.hello != nil && m.event == nil && m.args == nil && m.id == nil && m.ack == nil:
		if m.hello[0] != '{' {
			return p, fmt.Errorf("%w: hello is not an object", ErrInvalid)
		}
		return packet.Packet{Type: packet.Connect, Data: m.hello}, nil
	case m.event != nil && m.hello == nil && m.ack == nil:
		p.Type = packet.Event
		if p.ID, p.HasID, err = number("id", m.id); err != nil {
			return p, err
		}
		name, _ := packet.Args{JSON: append(append([]byte{'['}, m.event...), ']')}.Name()
		if m.event[0] != '"' || packet.ReservedEvent(name) {
			return p, fmt.Errorf("%w: event is not a name that a client may send", ErrInvalid)
		}
	case m.ack != nil && m.hello == nil && m.event == nil && m.id == nil:
		p.Type = packet.Ack
		if p.ID, p.HasID, err = number("ack", m.ack); err != nil {
			return p, err
		}
	default:
		return p, fmt.Errorf("%w: a message has hello, or event with args and id, or ack with args", ErrInvalid)
	}
	if m.args != nil && m.args[0] != '[' {
		return p, fmt.Errorf("%w: args is not a list", ErrInvalid)
	}
	list, err := d.list(m.event, m.args)
	p.Data, p.Attachments = list.JSON, list.Attachments
	return p, err
}

// number reads the number that an event is acknowledged under; nil is none.
func number(name string, text []byte) (n uint64, ok bool, err error) {
	if text == nil {
		return 0, false, nil
	}
	if n, err = strconv.ParseUint(string(text), 10, 63); err != nil {
		return 0, false, fmt.Errorf("%w: %s is not a whole number from 0 on", ErrInvalid, name)
	}
	return n, true, nil
}

// list returns the list of an event, whose name is a literal, or without name that of an acknowledgement.
func (d Decoder) list(name, args []byte) (packet.Args, error) {
	list := packet.Args{JSON: args}
	if bytes.Contains(args, []byte(bytesName)) {
		var err error
		if list, err = bytesjson.Parse(args, bytesjson.Limits{Depth: d.MaxDepth, Attachments: d.MaxAttachments}); err != nil {
			return packet.Args{}, fmt.Errorf("%w: args %w", ErrInvalid, err)
		}
	}
	if name == nil && args != nil {
		return list, nil
	}
	text := make([]byte, 0, len(name)+len(list.JSON)+3)
	text = append(append(text, '['), name...)
	if first, some := list.At(0); some && len(first) > 0 {
		text = append(text, ',')
	}
	if len(list.JSON) > 0 {
		text = append(text, list.JSON[1:len(list.JSON)-1]...)
	}
	return packet.Args{JSON: append(text, ']'), Attachments: list.Attachments}, nil
}
