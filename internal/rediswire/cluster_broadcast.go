package rediswire

import (
	"bytes"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// ClusterBroadcast reads the most common message of the sharded adapter, a broadcast in JSON without acknowledgements, in
// one pass and without transcoding: uid and the event's text are parts of payload, which the caller must not change
// afterwards. room is the name of the channel's room, or empty. ok is false for all other messages, and for malformed and
// uncommon ones: DecodeCluster reads those.
func ClusterBroadcast(
	nsp, room string, payload []byte, limits Limits,
) (uid []byte, b adapter.Broadcast, ok bool) {
	if limits.check(payload) != nil || len(payload) == 0 || payload[0] != '{' {
		return nil, b, false
	}
	p := plainBroadcast{text: msgjson.NewTextReader(payload), room: room, depth: limits.depth()}
	b.Namespace = nsp
	if !p.read(&b) {
		return nil, adapter.Broadcast{}, false
	}
	return p.uid, b, true
}

// plainBroadcast is a broadcast as it is read. Each method returns false to fall back to DecodeCluster.
type plainBroadcast struct {
	text  msgjson.TextReader
	room  string
	depth int

	uid              []byte
	kind, packetKind []byte
	forNamespace     bool
	hasData          bool
	hasPacket        bool
	hasOptions       bool
}

func (p *plainBroadcast) read(b *adapter.Broadcast) bool {
	p.text.Object()
	for p.text.More('}') {
		known := true
		switch key := p.text.Key(); string(key) {
		case "type":
			p.kind = p.text.Raw(0)
		case "uid":
			p.uid = p.text.String()
		case "nsp":
			p.forNamespace = string(p.text.String()) == b.Namespace
		case "data":
			known = !p.hasData && p.readData(b)
			p.hasData = true
		default:
			known = p.skipOther(key)
		}
		if !known {
			return false
		}
	}
	p.text.End()
	return p.text.Err() == nil && string(p.kind) == "3" && string(p.packetKind) == "2" &&
		p.forNamespace && p.hasOptions && len(b.Args.JSON) > 0
}

func (p *plainBroadcast) readData(b *adapter.Broadcast) bool {
	p.text.Object()
	for p.text.More('}') {
		var known bool
		switch key := p.text.Key(); string(key) {
		case "packet":
			known = !p.hasPacket && p.readPacket(b)
			p.hasPacket = true
		case "opts":
			known = !p.hasOptions && p.readOptions(b)
			p.hasOptions = true
		case "requestId":
			known = false // the sender waits for acknowledgements
		default:
			known = p.skipOther(key)
		}
		if !known {
			return false
		}
	}
	return true
}

func (p *plainBroadcast) readPacket(b *adapter.Broadcast) bool {
	p.text.Object()
	for p.text.More('}') {
		known := true
		switch key := p.text.Key(); string(key) {
		case "type":
			p.packetKind = p.text.Raw(0)
		case "data":
			b.Args.JSON = p.text.Raw(p.depth)
			known = isPlainEvent(b.Args.JSON)
		case "nsp":
			known = string(p.text.String()) == b.Namespace
		default:
			known = p.skipOther(key)
		}
		if !known {
			return false
		}
	}
	return true
}

func (p *plainBroadcast) readOptions(b *adapter.Broadcast) bool {
	p.text.Object()
	for p.text.More('}') {
		known := true
		switch key := p.text.Key(); string(key) {
		case "rooms":
			b.Target.Rooms = p.readNames()
		case "except":
			b.Target.Except = p.readNames()
		case "flags":
			known = p.readFlags(b)
		default:
			known = p.skipOther(key)
		}
		if !known {
			return false
		}
	}
	return true
}

func (p *plainBroadcast) readNames() []string {
	var names []string
	p.text.Array()
	for p.text.More(']') {
		name := p.text.String()
		if string(name) == p.room {
			names = append(names, p.room)
		} else {
			names = append(names, string(name))
		}
	}
	return names
}

func (p *plainBroadcast) readFlags(b *adapter.Broadcast) bool {
	flags := p.text.Raw(p.depth)
	if string(flags) == "{}" {
		return true
	}
	packed, err := msgjson.AppendMsgpack(nil, flags, nil, p.depth)
	if err != nil {
		return false
	}
	var o options
	r := msgjson.NewReader(packed, 0)
	if err := o.readFlags(&r); err != nil {
		return false
	}
	b.Volatile, b.NoCompress = o.volatile, o.noCompress
	return true
}

// skipOther passes over a member that means nothing. A name with escapes could be one that does.
func (p *plainBroadcast) skipOther(key []byte) bool {
	p.text.Raw(p.depth)
	return bytes.IndexByte(key, '\\') < 0
}

// isPlainEvent reports whether a JSON text is the list of an event whose name is text without escapes.
func isPlainEvent(list []byte) bool {
	r := msgjson.NewTextReader(list)
	r.Array()
	name := r.String()
	return r.Err() == nil && !packet.ReservedEvent(string(name))
}
