package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// classic is the dialect of Node's createAdapter.
type classic struct {
	*inbox

	push func(message) // for answers, which go out on the channels that were asked on
	// wide: with the interest in whole namespaces one pattern for each covers its channel and those of all rooms. Nothing
	// that it covers is subscribed as well, or messages would come twice.
	wide bool
}

func (d *classic) speech() *speech {
	return &speech{publish: "PUBLISH", wanted: d.wanted, receive: d.receive}
}

func (d *classic) slot(string) uint16 { return 0 }

func (d *classic) key() string { return d.config.Key }

// pattern covers the own rooms of sockets whose ids begin with tag.
func (d *classic) pattern(tag string) interest {
	return interest{channel: rediswire.NodePattern(d.key(), tag), kind: kindPattern}
}

func (d *classic) requests(nsp string) interest {
	return interest{channel: rediswire.RequestChannel(d.key(), nsp), kind: kindRequest, namespace: nsp}
}

func (d *classic) answers(nsp, node string) string {
	return rediswire.OwnResponseChannel(d.key(), nsp, node)
}

func (d *classic) open(nsp string) []interest {
	own := d.answers(nsp, d.config.NodeID)
	return append(d.certain(nsp), d.requests(nsp), interest{channel: own, kind: kindOwn, namespace: nsp})
}

func (d *classic) certain(nsp string) []interest {
	if d.wide {
		return []interest{{channel: rediswire.NamespacePattern(d.key(), nsp), kind: kindNamespace, namespace: nsp}}
	}
	return []interest{{channel: rediswire.BroadcastChannel(d.key(), nsp), kind: kindBroadcast, namespace: nsp}}
}

func (d *classic) listening(nsp string) []interest {
	return []interest{{channel: rediswire.ResponseChannel(d.key(), nsp), kind: kindShared, namespace: nsp}}
}

// rooms leaves out those that a pattern covers.
func (d *classic) rooms(nsp string, names []string) []interest {
	if d.wide {
		return nil
	}
	interests := make([]interest, 0, len(names))
	for _, room := range names {
		channel := rediswire.RoomChannel(d.key(), nsp, room)
		if tag := d.tags.covers(channel); tag == "" {
			interests = append(interests, interest{channel: channel, kind: kindRoom, namespace: nsp, room: room})
		}
	}
	return interests
}

func (d *classic) wanted(in interest) bool {
	// The pattern of a tag that is new may have come to cover the room.
	if in.kind == kindRoom && d.tags.covers(in.channel) != "" {
		return false
	}
	return d.inbox.wanted(in)
}

func (d *classic) command(c adapter.Command) (m message, err error) {
	cfg := &d.config
	if b, ok := c.(adapter.Broadcast); ok {
		if d.justJoined(&b) {
			m.channel = rediswire.BroadcastChannel(cfg.Key, b.Namespace)
		} else {
			m.channel = rediswire.BroadcastTo(cfg.Key, &b)
		}
		m.payload, err = rediswire.AppendBroadcast(roomFor(&b), cfg.NodeID, &b)
		return m, err
	}
	m.channel = rediswire.RequestChannel(cfg.Key, adapter.NamespaceOf(c))
	m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: cfg.NodeID, Command: c})
	return m, err
}

func (d *classic) query(id string, q adapter.Query) (m message, err error) {
	nsp, _ := d.about(q)
	m.channel = rediswire.RequestChannel(d.key(), nsp)
	m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: d.config.NodeID, ID: id, Query: q})
	return m, err
}

func (d *classic) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubNumSub(ctx, channels...).Result()
}

// receive takes every message of the subscription, one after the other: the order in which a publisher published is the
// order in which the node gets to see it, whatever channels it went through.
func (d *classic) receive(in interest, channel, payload []byte) receiveDrop {
	a := d.inbox
	if in.kind == kindPattern || in.kind == kindNamespace {
		var ok bool
		if in, ok = d.resolve(in, string(channel)); !ok {
			return droppedUnknownChannel
		}
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	switch in.kind {
	case kindBroadcast, kindRoom:
		return d.receiveBroadcast(in, payload)
	case kindRequest:
		return d.receiveRequest(in, payload)
	default:
		return a.receiveResponse(payload)
	}
}

// resolve finds out which channel's interest a message for a pattern is for.
func (d *classic) resolve(in interest, channel string) (interest, bool) {
	known := d.namespaces.isOpen
	if in.kind == kindNamespace {
		known = func(nsp string) bool { return nsp == in.namespace }
	}
	nsp, room, ok := rediswire.SplitChannel(d.key(), channel, known)
	if in.kind == kindNamespace && room == "" {
		return interest{channel: channel, kind: kindBroadcast, namespace: nsp}, ok
	}
	return interest{channel: channel, kind: kindRoom, namespace: nsp, room: room}, ok
}

// receiveBroadcast skips what is not for this node before it decodes anything.
func (d *classic) receiveBroadcast(in interest, payload []byte) receiveDrop {
	a := d.inbox
	if !a.hasMember(in) {
		return droppedNoMember
	}
	if uid, ok := rediswire.Sender(payload); ok && string(uid) == a.config.NodeID {
		return droppedOwn
	}
	received := time.Now()
	b, err := rediswire.DecodeBroadcast(in.namespace, in.room, payload, a.limits)
	if err != nil {
		return a.refuse(in.namespace, err)
	}
	b.Received = received
	a.deliver(in, payload, received, b)
	return ""
}

// receiveRequest acts on a request. Our own requests come back to us as well: what they ask for has been done here by
// the server above. Those of emitters name no sender, and are for all nodes.
func (d *classic) receiveRequest(in interest, payload []byte) receiveDrop {
	a := d.inbox
	nsp, received := in.namespace, time.Now()
	r, err := rediswire.DecodeRequest(nsp, payload, a.limits)
	switch {
	case err != nil:
		return a.refuse(nsp, err)
	case r.UID == a.config.NodeID:
		return droppedOwn
	case r.Socket != "" && !a.node.Holds(nsp, r.Socket):
		return droppedNoMember
	case r.Query != nil:
		a.answerQuery(nsp, r.Query, func(reply adapter.Reply) { d.respond(nsp, &r, reply) })
	case !a.namespaces.isOpen(nsp):
		return droppedNoMember
	default:
		a.deliver(in, payload, received, r.Command)
		if r.Socket != "" && r.ID != "" {
			d.respond(nsp, &r, nil)
		}
	}
	return ""
}
