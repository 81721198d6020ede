package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// sharded is the dialect of Node's createShardedAdapter.
type sharded struct {
	*inbox

	mode rediswire.Mode
	push func(message) // for answers
}

func (d *sharded) speech() *speech {
	return &speech{publish: "SPUBLISH", sharded: true, wanted: d.wanted, receive: d.receive}
}

func (d *sharded) slot(channel string) uint16 { return rediswire.Slot(channel) }

func (d *sharded) interest(channel string, k kind, nsp, room string) interest {
	return interest{channel: channel, kind: k, slot: rediswire.Slot(channel), namespace: nsp, room: room}
}

func (d *sharded) requests(nsp string) interest {
	return d.interest(rediswire.BroadcastChannel(d.config.Key, nsp), kindBroadcast, nsp, "")
}

func (d *sharded) answers(nsp, node string) string {
	return rediswire.NodeChannel(d.config.Key, nsp, node)
}

func (d *sharded) open(nsp string) []interest {
	own := d.interest(d.answers(nsp, d.config.NodeID), kindOwn, nsp, "")
	return []interest{d.requests(nsp), own}
}

// certain holds the channel of this node too: a room that is called as the node is received there.
func (d *sharded) certain(nsp string) []interest { return d.open(nsp) }

// listening is everything, since a node that has subscribed to its own channel is one that others expect answers of.
func (d *sharded) listening(nsp string) []interest { return d.open(nsp) }

func (d *sharded) wanted(in interest) bool {
	return d.inbox.wanted(in) || in.kind != kindRoom && in.namespace != "" && d.namespaces.isAsking(in.namespace)
}

// rooms leaves out those that are received on the channel of the namespace, and one that is called as this node.
func (d *sharded) rooms(nsp string, names []string) []interest {
	interests := make([]interest, 0, len(names))
	for _, room := range names {
		if d.mode.HasChannel(room) && room != d.config.NodeID {
			channel := rediswire.RoomChannel(d.config.Key, nsp, room)
			interests = append(interests, d.interest(channel, kindRoom, nsp, room))
		}
	}
	return interests
}

func (d *sharded) command(c adapter.Command) (message, error) {
	nsp := adapter.NamespaceOf(c)
	var channel string
	if b, ok := c.(adapter.Broadcast); ok && !d.justJoined(&b) {
		channel = rediswire.ShardedBroadcastTo(d.config.Key, d.mode, &b)
	} else {
		channel = rediswire.BroadcastChannel(d.config.Key, nsp)
	}
	return d.message(channel, nsp, rediswire.ClusterMessage{Command: c})
}

func (d *sharded) query(id string, q adapter.Query) (message, error) {
	nsp, _ := d.about(q)
	channel := rediswire.BroadcastChannel(d.config.Key, nsp)
	return d.message(channel, nsp, rediswire.ClusterMessage{ID: id, Query: q})
}

func (d *sharded) message(channel, nsp string, m rediswire.ClusterMessage) (message, error) {
	m.UID = d.config.NodeID
	var payload []byte
	if b, ok := m.Command.(adapter.Broadcast); ok {
		payload = roomFor(&b)
	}
	payload, err := rediswire.AppendCluster(payload, nsp, &m)
	return message{channel: channel, slot: rediswire.Slot(channel), payload: payload}, err
}

func (d *sharded) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubShardNumSub(ctx, channels...).Result()
}

// receive takes every message on sharded channels. What it is decides what is done with it, not where it came.
func (d *sharded) receive(in interest, _, payload []byte) receiveDrop {
	a := d.inbox
	// Questions are answered for as long as their channel is subscribed, which may be longer than the namespace is open.
	if in.kind == kindRoom && !a.hasMember(in) {
		return droppedNoMember
	}
	if rediswire.IsClusterEcho(payload, in.namespace, a.config.NodeID) {
		return droppedOwn
	}
	received := time.Now()
	if uid, b, ok := rediswire.ClusterBroadcast(in.namespace, in.room, payload, a.limits); ok {
		if !a.heardFrom(string(uid)) {
			return droppedOwn
		}
		if !a.namespaces.isOpen(in.namespace) {
			return droppedNoMember
		}
		b.Received = received
		a.delivering.Lock()
		defer a.delivering.Unlock()
		a.deliver(in, payload, received, b)
		return ""
	}
	m, err := rediswire.DecodeCluster(in.namespace, payload, a.limits)
	if err != nil {
		return a.refuseAnswer(in.namespace, payload, err)
	}
	if !a.heardFrom(m.UID) {
		return droppedOwn
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	switch {
	case m.Reply != nil:
		return a.receiveAnswer(rediswire.Response{ID: m.ID, UID: m.UID, Type: m.Type, Reply: m.Reply, Extent: m.Extent})
	case m.Query != nil:
		a.answerQuery(in.namespace, m.Query, func(reply adapter.Reply) { d.respond(in.namespace, &m, reply) })
	case !a.namespaces.isOpen(in.namespace):
		return droppedNoMember
	default:
		if b, ok := m.Command.(adapter.Broadcast); ok {
			b.Received = received
			m.Command = b
		}
		a.deliver(in, payload, received, m.Command)
	}
	return ""
}
