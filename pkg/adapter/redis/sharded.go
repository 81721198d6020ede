package redis

import (
	"context"
	"time"
	"unsafe"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// sharded is the dialect of Node's createShardedAdapter.
type sharded struct {
	adapter *Adapter
	mode    rediswire.Mode
}

func (d sharded) main(nsp string) interest {
	return shardedInterest(rediswire.BroadcastChannel(d.adapter.config.Key, nsp), kindBroadcast, nsp)
}

func (d sharded) own(nsp string) interest {
	return shardedInterest(d.answers(nsp, d.adapter.config.NodeID), kindOwn, nsp)
}

// room is what must be subscribed for a room to be heard. Rooms without a channel are heard on that of the namespace,
// and one that is called as this node on ours.
func (d sharded) room(nsp, room string) interest {
	switch {
	case !d.mode.HasChannel(room):
		return d.main(nsp)
	case room == d.adapter.config.NodeID:
		return d.own(nsp)
	}
	in := shardedInterest(rediswire.RoomChannel(d.adapter.config.Key, nsp, room), kindRoom, nsp)
	in.room = room
	return in
}

func shardedInterest(channel string, k kind, nsp string) interest {
	return interest{channel: channel, kind: k, slot: rediswire.Slot(channel), namespace: nsp}
}

// rooms is what must be subscribed for rooms to be heard, apart from what the namespace needs.
func (d sharded) rooms(nsp string, names []string) []interest {
	interests := make([]interest, 0, len(names))
	for _, name := range names {
		if in := d.room(nsp, name); in.kind == kindRoom {
			interests = append(interests, in)
		}
	}
	return interests
}

func (d sharded) command(c adapter.Command) (message, error) {
	nsp := adapter.NamespaceOf(c)
	var channel string
	if b, ok := c.(adapter.Broadcast); ok {
		channel = rediswire.ShardedBroadcastTo(d.adapter.config.Key, d.mode, &b)
	} else {
		channel = d.main(nsp).channel
	}
	return d.message(channel, nsp, rediswire.ClusterMessage{Command: c})
}

func (d sharded) query(id string, q adapter.Query) (message, error) {
	nsp, _ := d.adapter.about(q)
	return d.message(d.main(nsp).channel, nsp, rediswire.ClusterMessage{ID: id, Query: q})
}

func (d sharded) message(channel, nsp string, m rediswire.ClusterMessage) (message, error) {
	m.UID = d.adapter.config.NodeID
	var payload []byte
	if b, ok := m.Command.(adapter.Broadcast); ok {
		payload = roomFor(&b)
	}
	payload, err := rediswire.AppendCluster(payload, nsp, &m)
	return message{channel: channel, slot: rediswire.Slot(channel), sharded: true, payload: payload}, err
}

// listen has nothing to begin: answers come on the channel of this node, which is wanted as long as the namespace is
// open.
func (d sharded) listen(ctx context.Context, nsp string) (release func(), err error) {
	own := []interest{d.own(nsp)}
	err = wait(ctx, func(done func(error)) { d.adapter.shards.confirm(own, done) })
	return func() {}, err
}

func (d sharded) requests(nsp string) interest { return d.main(nsp) }

func (d sharded) answers(nsp, node string) string {
	return rediswire.NodeChannel(d.adapter.config.Key, nsp, node)
}

func (d sharded) probes() []string { return d.adapter.shards.probes() }

func (d sharded) sameServer(channel, other string) bool {
	return d.adapter.shards.owner(rediswire.Slot(channel)) == d.adapter.shards.owner(rediswire.Slot(other))
}

func (d sharded) isOn(in interest) bool { return d.adapter.shards.isOn(in) }

func (d sharded) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubShardNumSub(ctx, channels...).Result()
}

// receiveSharded takes every message on sharded channels. What it is decides what is done with it, not where it came.
func (a *Adapter) receiveSharded(in interest, text string) {
	a.metrics.in.Inc()
	// The text is ours alone, and whatever refers to parts of it only reads: no need to copy.
	payload := unsafe.Slice(unsafe.StringData(text), len(text))
	if !a.hasMember(in) {
		a.metrics.receivedDropped[droppedNoMember].Inc()
		return
	}
	if rediswire.IsClusterEcho(payload, in.namespace, a.config.NodeID) {
		a.metrics.receivedDropped[droppedOwn].Inc()
		return
	}
	received := time.Now()
	if uid, b, ok := rediswire.ClusterBroadcast(in.namespace, in.room, payload, a.limits); ok {
		if a.heardFrom(string(uid)) {
			b.Received = received
			a.delivering.Lock()
			defer a.delivering.Unlock()
			a.deliver(in, payload, received, b)
		}
		return
	}
	m, err := rediswire.DecodeCluster(in.namespace, payload, a.limits)
	if err != nil {
		a.refuseAnswer(in.namespace, payload, err)
		return
	}
	if !a.heardFrom(m.UID) {
		return
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	switch {
	case m.Reply != nil:
		a.asks.receive(rediswire.Response{ID: m.ID, UID: m.UID, Type: m.Type, Reply: m.Reply, Extent: m.Extent})
	case m.Query != nil:
		a.node.Answer(m.Query, func(reply adapter.Reply) { a.respondSharded(in.namespace, &m, reply) })
	default:
		if b, ok := m.Command.(adapter.Broadcast); ok {
			b.Received = received
			m.Command = b
		}
		a.deliver(in, payload, received, m.Command)
	}
}

// heardFrom takes in that a node has said something, and reports whether it is another one.
func (a *Adapter) heardFrom(uid string) bool {
	if uid == a.config.NodeID {
		a.metrics.receivedDropped[droppedOwn].Inc()
		return false
	}
	a.membership.answered(uid)
	return true
}

// respondSharded publishes an answer of this node on the channel of the one that asked.
func (a *Adapter) respondSharded(nsp string, asked *rediswire.ClusterMessage, reply adapter.Reply) {
	answer := rediswire.ClusterMessage{ID: asked.ID, Type: rediswire.TypeBroadcastAsk, Reply: reply}
	if _, ok := asked.Query.(adapter.ServerAsk); ok {
		answer.Type = rediswire.TypeServerEmit
	}
	d := a.sharding
	channel := d.answers(nsp, asked.UID)
	var m message
	payloads, err := a.answer(asked.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) (_ []byte, err error) {
		answer.Reply, answer.Extent = reply, extent
		m, err = d.message(channel, nsp, answer)
		return m.payload, err
	})
	if err != nil {
		a.log.Warn("answer cannot be encoded", zap.String("namespace", nsp), zap.Error(err))
		a.shards.queue.drop([]message{m}, dropInvalid, err)
		return
	}
	for _, payload := range payloads {
		m.payload = payload
		a.push(m)
	}
}

// roomsOf makes answers to adapter.AllRooms of the sockets that Node's sharded servers answer with.
func roomsOf(reply func(adapter.Reply)) func(adapter.Reply) {
	return func(r adapter.Reply) {
		if sockets, ok := r.(adapter.Sockets); ok {
			seen := make(map[string]bool)
			names := adapter.RoomNames{}
			for _, s := range sockets {
				for _, name := range s.Rooms {
					if !seen[name] {
						seen[name] = true
						names = append(names, name)
					}
				}
			}
			r = names
		}
		reply(r)
	}
}
