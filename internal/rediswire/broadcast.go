package rediswire

import (
	"fmt"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// EmitterUID is the sender that every emitter names.
const EmitterUID = "emitter"

// AppendBroadcast appends b as the adapter of the node uid publishes it, on the channel BroadcastTo names. It fails,
// and returns dst as it was, only when b.Args is not what packet.Args promises or is no event.
func AppendBroadcast(dst []byte, uid string, b *adapter.Broadcast) ([]byte, error) {
	out, err := appendHead(dst, uid, b, writeDepth)
	if err != nil {
		return dst, err
	}
	out = appendRooms(msgjson.AppendMap(out, 3), b.Target)
	return appendFlags(out, b), nil
}

// AppendEmitterBroadcast is AppendBroadcast in the form of @socket.io/redis-emitter, which orders the options
// otherwise. An emitter does not know how deep the nodes read, so it fails where they would by default.
func AppendEmitterBroadcast(dst []byte, b *adapter.Broadcast) ([]byte, error) {
	out, err := appendHead(dst, EmitterUID, b, DefaultDepth)
	if err != nil {
		return dst, err
	}
	out = appendNames(msgjson.AppendMap(out, 3), "rooms", b.Target.Rooms)
	return appendNames(appendFlags(out, b), "except", b.Target.Except), nil
}

func appendHead(dst []byte, uid string, b *adapter.Broadcast, depth int) ([]byte, error) {
	out := msgjson.AppendString(msgjson.AppendArray(dst, 3), uid)
	out, err := appendPacket(out, b, depth)
	if err != nil {
		return dst, fmt.Errorf("rediswire: write broadcast: %w", err)
	}
	return out, nil
}

// Sender is the uid in a broadcast, found without reading the rest; uid is part of payload. A node drops what it sent
// itself before it decodes. ok is false when payload is not a broadcast at all, or its uid is not a string.
func Sender(payload []byte) (uid []byte, ok bool) {
	r := msgjson.NewReader(payload, 0)
	if n, err := r.Array(); err != nil || n < 3 {
		return nil, false
	}
	uid, err := r.Bytes()
	return uid, err == nil
}

// DecodeBroadcast reads a message that arrived on the channel of channelRoom in nsp (empty: on that of the namespace). Its
// recipients are those that the message names, as in Node. Old emitters publish a message for several rooms once on the
// channel of each, with all rooms named each time. So that a member of two rooms gets it once, the target of a message on
// the channel of one of its rooms is that room, without the members of the rooms named before it.
//
// Attachments are parts of payload; nothing else is. The caller must not change payload afterwards.
func DecodeBroadcast(nsp, channelRoom string, payload []byte, limits Limits) (adapter.Broadcast, error) {
	b, err := decodeBroadcast(nsp, channelRoom, payload, limits)
	if err != nil {
		return adapter.Broadcast{}, wrap("read broadcast", err)
	}
	return b, nil
}

func decodeBroadcast(nsp, channelRoom string, payload []byte, limits Limits) (adapter.Broadcast, error) {
	none := adapter.Broadcast{}
	if err := limits.check(payload); err != nil {
		return none, err
	}
	r := msgjson.NewReader(payload, limits.depth())
	n, err := r.Array()
	if err != nil {
		return none, err
	}
	if n < 3 {
		return none, errShape
	}
	if err := r.Skip(); err != nil {
		return none, err
	}
	args, err := readPacket(&r, nsp, defaultNamespace, len(payload))
	if err != nil {
		return none, err
	}
	opts, err := readOptions(&r, channelRoom)
	if err != nil {
		return none, err
	}
	for range n - 3 {
		if err := r.Skip(); err != nil {
			return none, err
		}
	}
	if err := r.End(); err != nil {
		return none, err
	}
	opts.targetOnly(channelRoom)
	return adapter.Broadcast{
		Namespace: nsp, Args: args, Target: opts.target, Volatile: opts.volatile, NoCompress: opts.noCompress,
	}, nil
}
