package pythonbus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// The methods of a message.
const (
	methodEmit       = "emit"
	methodCallback   = "callback"
	methodDisconnect = "disconnect"
	methodEnterRoom  = "enter_room"
	methodLeaveRoom  = "leave_room"
	methodCloseRoom  = "close_room"
)

// Bounds on what one message may make a node allocate beyond its own length.
const (
	maxAttachments = 1000
	maxNames       = 10_000 // rooms or ids in a list
	maxHostID      = 256    // bytes
)

var (
	errPickle    = errors.New("pythonbus: a pickle, which is never read: python-socketio 5.14.0 and later write JSON")
	errMalformed = errors.New("pythonbus: not a message of python-socketio")
)

// envelope is one message as python-socketio writes it. Members that a method does not have stay empty.
type envelope struct {
	Method    string          `json:"method"`
	HostID    string          `json:"host_id"` // the sender; of a callback the addressee
	Namespace *string         `json:"namespace"`
	Event     json.RawMessage `json:"event"`
	Data      json.RawMessage `json:"data"`
	Binary    bool            `json:"binary"`
	Room      json.RawMessage `json:"room"`
	SkipSID   json.RawMessage `json:"skip_sid"`
	Callback  json.RawMessage `json:"callback"`
	SID       json.RawMessage `json:"sid"`
	ID        json.RawMessage `json:"id"`
	Args      json.RawMessage `json:"args"`
}

// decode reads the envelope of a message. The error is errPickle or errMalformed.
func decode(payload []byte) (*envelope, error) {
	if isPickle(payload) {
		return nil, errPickle
	}
	e := new(envelope)
	if err := json.Unmarshal(payload, e); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if e.Method == "" || len(e.HostID) > maxHostID {
		return nil, fmt.Errorf("%w: no method, or too long a host id", errMalformed)
	}
	return e, nil
}

// isPickle recognises pickles. Protocol 2 and later begin with the byte 0x80; 0 and 1 begin with an opcode that begins no
// JSON object, and end with the opcode STOP.
func isPickle(payload []byte) bool {
	if len(payload) == 0 {
		return false
	}
	return payload[0] == 0x80 || payload[len(payload)-1] == '.' && bytes.IndexByte([]byte("(}]c"), payload[0]) >= 0
}

// namespace is the message's; "/" where it names none.
func (e *envelope) namespace() string {
	if e.Namespace == nil || *e.Namespace == "" {
		return "/"
	}
	return *e.Namespace
}

// target returns the sockets that an emit is for; ok is false when it is for none.
func (e *envelope) target() (t rooms.Target, ok bool, err error) {
	if t.Rooms, err = names(e.Room); err != nil {
		return t, false, err
	}
	if !isNull(e.Room) && len(t.Rooms) == 0 {
		return t, false, nil // an empty list addresses no socket, never all of them
	}
	skipped, err := names(e.SkipSID)
	if err != nil {
		return t, false, err
	}
	nsp := e.namespace()
	for _, sid := range skipped {
		if isID(nsp, sid) { // Python ignores other names here; Target.Except would exclude a whole room
			t.Except = append(t.Except, sid)
		}
	}
	return t, true, nil
}

// args returns the event of an emit, its name first. depth is how deep its arguments may nest.
func (e *envelope) args(depth int) (packet.Args, error) {
	if len(e.Event) == 0 || e.Event[0] != '"' {
		return packet.Args{}, fmt.Errorf("%w: the event has no name", errMalformed)
	}
	data, attachments := e.Data, [][]byte(nil)
	if e.Binary {
		var err error
		if data, attachments, err = detach(data); err != nil {
			return packet.Args{}, err
		}
	}
	text := make([]byte, 0, len(e.Event)+len(data)+16)
	text = appendEventHeader(text, len(attachments))
	text = append(append(text, '['), e.Event...)
	text = appendArguments(text, data)
	return assemble(append(text, ']'), attachments, depth)
}

// appendEventHeader appends what precedes the list in an event packet of Socket.IO: the message takes the same way into
// the node as a client's packet, with its checks of UTF-8, depth, names and placeholders.
func appendEventHeader(text []byte, attachments int) []byte {
	if attachments == 0 {
		return append(text, '2')
	}
	return append(strconv.AppendInt(append(text, '5'), int64(attachments), 10), '-')
}

// appendArguments appends the arguments in data. As python-socketio reads them, a value that is no list is the only
// argument, and a list of one null is none: that is how emit without data looks.
func appendArguments(text []byte, data []byte) []byte {
	if len(data) == 0 || isNull(data) {
		return text
	}
	if data[0] != '[' {
		return append(append(text, ','), data...)
	}
	list := packet.Args{JSON: data}
	first, some := list.At(0)
	if !some || isNull(first) && list.Len() == 1 {
		return text
	}
	text = append(text, ',')
	return append(text, bytes.TrimSpace(data[1:bytes.LastIndexByte(data, ']')])...)
}

// detach takes the arguments and the attachments out of the data of a binary message.
func detach(data []byte) (arguments []byte, attachments [][]byte, err error) {
	list := packet.Args{JSON: data}
	if len(data) == 0 || data[0] != '[' {
		return nil, nil, fmt.Errorf("%w: binary data is no list", errMalformed)
	}
	n := list.Len()
	if n == 0 || n > maxAttachments+1 {
		return nil, nil, fmt.Errorf("%w: %d parts of binary data", errMalformed, n)
	}
	parts := list.Split(make([][]byte, 0, n))
	for _, part := range parts[1:] {
		var attachment []byte // encoding/json reads base64
		if err := json.Unmarshal(part, &attachment); err != nil || attachment == nil {
			return nil, nil, fmt.Errorf("%w: an attachment is not base64", errMalformed)
		}
		attachments = append(attachments, attachment)
	}
	return parts[0], attachments, nil
}

// acknowledged returns the arguments of a callback message.
func (e *envelope) acknowledged(depth int) (packet.Args, error) {
	if len(e.Args) == 0 || e.Args[0] != '[' {
		return packet.Args{}, fmt.Errorf("%w: a callback without arguments", errMalformed)
	}
	return assemble(append([]byte("30"), e.Args...), nil, depth)
}

// assemble decodes a packet of Socket.IO.
func assemble(text []byte, attachments [][]byte, depth int) (packet.Args, error) {
	d := packet.Decoder{MaxAttachments: maxAttachments, MaxDepth: depth}
	p, ok, err := d.Text(text)
	for i := 0; err == nil && !ok && i < len(attachments); i++ {
		p, ok, err = d.Binary(attachments[i])
	}
	if err != nil {
		return packet.Args{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return p.Args(), nil
}

// names reads a room or a list of them: texts and numbers, which count as their text. null is none.
func names(raw []byte) ([]string, error) {
	if isNull(raw) {
		return nil, nil
	}
	if raw[0] != '[' {
		one, ok := name(raw)
		if !ok {
			return nil, fmt.Errorf("%w: neither a name nor a list of names", errMalformed)
		}
		return []string{one}, nil
	}
	list := packet.Args{JSON: raw}
	n := list.Len()
	if n > maxNames {
		return nil, fmt.Errorf("%w: %d names", errMalformed, n)
	}
	all := make([]string, 0, n)
	for _, part := range list.Split(make([][]byte, 0, n)) {
		if isNull(part) {
			continue // skip_sid may hold one
		}
		one, ok := name(part)
		if !ok {
			return nil, fmt.Errorf("%w: a list holds something other than names", errMalformed)
		}
		all = append(all, one)
	}
	return all, nil
}

// name reads a text or a number.
func name(raw []byte) (string, bool) {
	return packet.Args{JSON: append(append([]byte("["), raw...), ']')}.Name()
}

func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// idLength is that of the ids of sockets, here and in python-socketio.
const idLength = 20

// isID reports whether a name has the form of a socket's id, in gateways and in Python: twenty URL-safe characters, or those
// behind the namespace for 2.x clients. Only such a name may stand for one socket: a room must not be taken for one.
func isID(nsp, name string) bool {
	if len(name) == len(nsp)+1+idLength && name[:len(nsp)] == nsp && name[len(nsp)] == '#' {
		name = name[len(nsp)+1:]
	}
	if len(name) != idLength {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(name)
	return err == nil
}
