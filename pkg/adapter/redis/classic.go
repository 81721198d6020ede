package redis

import (
	"bytes"
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// classic is the dialect of Node's createAdapter.
type classic struct {
	*inbox

	push func(redisqueue.Message) // for answers, which go out on the channels that were asked on
	// wide: with the interest in whole namespaces one pattern for each covers its channel and those of all rooms. Nothing
	// that it covers is subscribed as well, or messages would come twice.
	wide bool
	// disconnected is called with each disconnect of another program, also of a socket that this node does not have; nil: nothing is.
	// It must not block.
	disconnected func(adapter.Disconnect)
}

func (d *classic) speech() *redisserver.Speech {
	return &redisserver.Speech{Wanted: d.wanted, Receive: d.receive, Fenced: d.fenced}
}

func (d *classic) slot(string) uint16 { return 0 }

func (d *classic) key() string { return d.config.Key }

// pattern covers the own rooms of sockets whose ids begin with tag.
func (d *classic) pattern(tag string) (in redissub.Interest, ok bool) {
	return redissub.Interest{Channel: rediswire.NodePattern(d.key(), tag), Kind: redissub.Pattern}, !d.wide
}

func (d *classic) requests(nsp string) redissub.Interest {
	return redissub.Interest{Channel: rediswire.RequestChannel(d.key(), nsp), Kind: redissub.Request, Namespace: nsp}
}

func (d *classic) answers(nsp, node string) string {
	return rediswire.OwnResponseChannel(d.key(), nsp, node)
}

func (d *classic) open(nsp string) []redissub.Interest {
	own := d.answers(nsp, d.config.NodeID)
	return append(d.certain(nsp), d.requests(nsp), redissub.Interest{Channel: own, Kind: redissub.Own, Namespace: nsp})
}

func (d *classic) certain(nsp string) []redissub.Interest {
	if d.wide {
		return []redissub.Interest{{Channel: rediswire.NamespacePattern(d.key(), nsp), Kind: redissub.Namespace, Namespace: nsp}}
	}
	return []redissub.Interest{{Channel: rediswire.BroadcastChannel(d.key(), nsp), Kind: redissub.Broadcast, Namespace: nsp}}
}

func (d *classic) listening(nsp string) []redissub.Interest {
	return []redissub.Interest{{Channel: rediswire.ResponseChannel(d.key(), nsp), Kind: redissub.Shared, Namespace: nsp}}
}

// rooms leaves out those that a pattern covers.
func (d *classic) rooms(nsp string, names []string) []redissub.Interest {
	if d.wide {
		return nil
	}
	interests := make([]redissub.Interest, 0, len(names))
	for _, room := range names {
		channel := rediswire.RoomChannel(d.key(), nsp, room)
		if tag := d.tags.covers(channel); tag == "" {
			interests = append(interests, redissub.Interest{Channel: channel, Kind: redissub.Room, Namespace: nsp, Room: room})
		}
	}
	return interests
}

// order is one server's.
func (d *classic) order(string, []string) []uint16 { return []uint16{0} }

func (d *classic) wanted(in redissub.Interest) bool {
	// The pattern of a tag that is new may have come to cover the room.
	if in.Kind == redissub.Room && d.tags.covers(in.Channel) != "" {
		return false
	}
	return d.inbox.wanted(in)
}

func (d *classic) command(c adapter.Command) (m redisqueue.Message, err error) {
	cfg := &d.config
	if b, ok := c.(adapter.Broadcast); ok {
		if d.justJoined(&b) {
			m.Channel = rediswire.BroadcastChannel(cfg.Key, b.Namespace)
		} else {
			m.Channel = rediswire.BroadcastTo(cfg.Key, &b)
		}
		m.Payload, err = rediswire.AppendBroadcast(roomFor(&b), cfg.NodeID, &b)
		return m, err
	}
	m.Channel = rediswire.RequestChannel(cfg.Key, adapter.NamespaceOf(c))
	m.Payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: cfg.NodeID, Command: c})
	return m, err
}

func (d *classic) query(id string, q adapter.Query) (m redisqueue.Message, err error) {
	nsp, _ := d.about(q)
	m.Channel = rediswire.RequestChannel(d.key(), nsp)
	m.Payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: d.config.NodeID, ID: id, Query: q})
	return m, err
}

func (d *classic) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubNumSub(ctx, channels...).Result()
}

// receive takes every message of the subscription, one after the other: the order in which a publisher published is the
// order in which the node gets to see it, whatever channels it went through.
func (d *classic) receive(in redissub.Interest, p *redisconn.Push) redisserver.Drop {
	a := d.inbox
	if in.Kind == redissub.Pattern || in.Kind == redissub.Namespace {
		var ok bool
		if in, ok = d.resolve(in, string(p.Channel)); !ok {
			return redisserver.UnknownChannel
		}
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	switch in.Kind {
	case redissub.Broadcast, redissub.Room:
		return d.receiveBroadcast(in, p)
	case redissub.Request:
		return d.receiveRequest(in, p)
	default:
		return a.receiveResponse(p.Keep())
	}
}

// resolve finds out which channel's interest a message for a pattern is for.
func (d *classic) resolve(in redissub.Interest, channel string) (redissub.Interest, bool) {
	known := d.namespaces.isOpen
	if in.Kind == redissub.Namespace {
		known = func(nsp string) bool { return nsp == in.Namespace }
	}
	nsp, room, ok := rediswire.SplitChannel(d.key(), channel, known)
	if in.Kind == redissub.Namespace && room == "" {
		return redissub.Interest{Channel: channel, Kind: redissub.Broadcast, Namespace: nsp}, ok
	}
	return redissub.Interest{Channel: channel, Kind: redissub.Room, Namespace: nsp, Room: room}, ok
}

// receiveBroadcast skips what is not for this node before it decodes anything.
func (d *classic) receiveBroadcast(in redissub.Interest, p *redisconn.Push) redisserver.Drop {
	a := d.inbox
	if !a.hasMember(in) {
		return droppedNoMember
	}
	uid, ok := rediswire.Sender(p.Payload)
	own := ok && string(uid) == a.config.NodeID
	if own && !a.follows(in.Namespace) {
		return droppedOwn
	}
	b, err := rediswire.DecodeBroadcast(in.Namespace, in.Room, p.Payload, a.limits)
	if err != nil {
		return a.refuse(in.Namespace, err)
	}
	if p.Shared {
		for i, attachment := range b.Args.Attachments {
			b.Args.Attachments[i] = bytes.Clone(attachment)
		}
	}
	b.Received = p.At
	a.deliver(in, p, b, own)
	return redisserver.Accepted
}

// receiveRequest acts on a request. Our own requests come back to us as well: what they ask for has been done here by
// the server above, which is only handed them where it follows the namespace. Those of emitters name no sender, and are for all
// nodes.
func (d *classic) receiveRequest(in redissub.Interest, p *redisconn.Push) redisserver.Drop {
	a := d.inbox
	nsp := in.Namespace
	r, err := rediswire.DecodeRequest(nsp, p.Keep(), a.limits)
	if c, ok := r.Command.(adapter.Disconnect); ok && err == nil && r.UID != a.config.NodeID && d.disconnected != nil {
		d.disconnected(c)
	}
	switch {
	case err != nil:
		return a.refuse(nsp, err)
	case r.UID == a.config.NodeID:
		if r.Command == nil || !a.follows(nsp) {
			return droppedOwn
		}
		a.deliver(in, p, r.Command, true)
	case r.Socket != "" && !a.node.Holds(nsp, r.Socket):
		return droppedNoMember
	case r.Query != nil:
		a.answerQuery(nsp, r.Query, func(reply adapter.Reply) { d.respond(nsp, &r, reply) })
	case !a.namespaces.isOpen(nsp):
		return droppedNoMember
	default:
		a.deliver(in, p, r.Command, false)
		if r.Socket != "" && r.ID != "" {
			d.respond(nsp, &r, nil)
		}
	}
	return redisserver.Accepted
}

// respond publishes an answer of this node. Node's servers listen for answers to server-side emits on the shared
// channel only.
func (d *classic) respond(nsp string, r *rediswire.Request, reply adapter.Reply) {
	a := d.inbox
	channel := rediswire.ResponseChannel(a.config.Key, nsp)
	if a.config.OwnResponses && r.UID != "" && r.Type != rediswire.TypeServerEmit {
		channel = rediswire.OwnResponseChannel(a.config.Key, nsp, r.UID)
	}
	response := rediswire.Response{ID: r.ID, UID: a.config.NodeID, Type: r.Type}
	payloads, err := a.answer(r.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) ([]byte, error) {
		response.Reply, response.Extent = reply, extent
		return rediswire.AppendResponse(nil, &response)
	})
	if err != nil {
		a.unanswerable(nsp, err)
		return
	}
	for _, payload := range payloads {
		d.push(redisqueue.Message{Channel: channel, Payload: payload})
	}
}
