package pythonbus

import (
	"encoding/base64"
	"strconv"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// hostStart is what every message of this node begins with but callbacks. The id comes first, where python-socketio writes
// it last, so that the other nodes skip the message without reading it.
const hostStart = `{"host_id":`

// writer makes messages. Every method returns nothing where python-socketio has no message that says the same.
type writer struct {
	host []byte // the node's id as JSON
}

// command returns the messages that a command is.
func (w writer) command(c adapter.Command) [][]byte {
	switch c := c.(type) {
	case adapter.Broadcast:
		if m := w.emit(&c, nil); m != nil {
			return [][]byte{m}
		}
	case adapter.Disconnect:
		return w.each(c.Namespace, c.Target, nil, methodDisconnect)
	case adapter.Join:
		return w.each(c.Namespace, c.Target, c.Rooms, methodEnterRoom)
	case adapter.Leave:
		if room, ok := closes(&c); ok {
			m := w.begin(methodCloseRoom, c.Namespace)
			return [][]byte{append(appendMember(m, "room", room), '}')}
		}
		return w.each(c.Namespace, c.Target, c.Rooms, methodLeaveRoom)
	}
	return nil
}

// closes reports whether a command makes the members of one room leave that room: close_room.
func closes(c *adapter.Leave) (room string, ok bool) {
	if len(c.Target.Rooms) != 1 || len(c.Target.Except) > 0 || len(c.Rooms) != 1 || c.Rooms[0] != c.Target.Rooms[0] {
		return "", false
	}
	return c.Rooms[0], true
}

// emit is a broadcast. python-socketio can leave out sockets, but no rooms: a broadcast except a room is no message, for it
// would reach clients that it must not. ask is the callback to name; nil: none.
func (w writer) emit(b *adapter.Broadcast, ask []byte) []byte {
	if !allIDs(b.Namespace, b.Target.Except) {
		return nil
	}
	name, ok := b.Args.Name()
	if !ok {
		return nil
	}
	data := b.Args.Tail()
	size := len(hostStart) + len(w.host) + len(b.Args.JSON) + 128
	for _, a := range data.Attachments {
		size += base64.StdEncoding.EncodedLen(len(a)) + 3
	}
	m := make([]byte, 0, size)
	m = w.appendBegin(m, methodEmit, b.Namespace)
	m = appendMember(m, "event", name)
	m = append(m, `,"data":`...)
	m = appendData(m, data)
	m = append(m, `,"binary":`...)
	m = strconv.AppendBool(m, len(data.Attachments) > 0)
	m = append(m, `,"room":`...)
	m = appendNames(m, b.Target.Rooms)
	m = append(m, `,"skip_sid":`...)
	m = appendNames(m, b.Target.Except)
	m = append(m, `,"callback":`...)
	if ask == nil {
		ask = []byte("null")
	}
	return append(append(m, ask...), '}')
}

// appendData appends arguments: a list, or with attachments that list and their base64.
func appendData(m []byte, data packet.Args) []byte {
	list := data.JSON
	if len(list) == 0 {
		list = []byte("[]")
	}
	if len(data.Attachments) == 0 {
		return append(m, list...)
	}
	m = append(append(m, '['), list...)
	for _, a := range data.Attachments {
		m = append(m, `,"`...)
		m = base64.StdEncoding.AppendEncode(m, a)
		m = append(m, '"')
	}
	return append(m, ']')
}

// each is a command for single sockets, once for each of them and of names; for other targets there is no message.
func (w writer) each(nsp string, t rooms.Target, names []string, method string) [][]byte {
	if len(t.Rooms) == 0 || len(t.Except) > 0 || !allIDs(nsp, t.Rooms) {
		return nil
	}
	var list [][]byte
	for _, sid := range t.Rooms {
		m := appendMember(w.begin(method, nsp), "sid", sid)
		if method == methodDisconnect {
			list = append(list, append(m, '}'))
			continue
		}
		for _, room := range names {
			one := append([]byte(nil), m...)
			list = append(list, append(appendMember(one, "room", room), '}'))
		}
	}
	return list
}

// answer is the callback message for what a client acknowledged; nil where its answer holds bytes, for which callbacks have
// no form: python-socketio's own servers fail there, too.
func (w writer) answer(c *callback, args packet.Args) []byte {
	if len(args.Attachments) > 0 {
		return nil
	}
	m := append([]byte(nil), `{"method":"callback","host_id":`...)
	m = packet.AppendString(m, c.host)
	m = append(append(m, `,"sid":`...), c.room...)
	m = append(append(m, `,"namespace":`...), c.namespace...)
	m = append(append(m, `,"id":`...), c.id...)
	m = append(m, `,"args":`...)
	return append(appendData(m, args), '}')
}

func (w writer) begin(method, nsp string) []byte { return w.appendBegin(nil, method, nsp) }

func (w writer) appendBegin(m []byte, method, nsp string) []byte {
	m = append(append(m, hostStart...), w.host...)
	m = appendMember(m, "method", method)
	return appendMember(m, "namespace", nsp)
}

func appendMember(m []byte, name, value string) []byte {
	m = append(append(append(m, `,"`...), name...), `":`...)
	return packet.AppendString(m, value)
}

// appendNames appends what room and skip_sid hold: null for none, one name, or a list.
func appendNames(m []byte, names []string) []byte {
	switch len(names) {
	case 0:
		return append(m, "null"...)
	case 1:
		return packet.AppendString(m, names[0])
	}
	m = append(m, '[')
	for i, name := range names {
		if i > 0 {
			m = append(m, ',')
		}
		m = packet.AppendString(m, name)
	}
	return append(m, ']')
}

func allIDs(nsp string, names []string) bool {
	for _, name := range names {
		if !isID(nsp, name) {
			return false
		}
	}
	return true
}
