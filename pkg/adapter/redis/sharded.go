package redis

import (
	"context"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// sharded is the dialect of Node's createShardedAdapter.
type sharded struct {
	*inbox

	mode  rediswire.Mode
	push  func(redisqueue.Message) // for answers
	plain bool                     // its channels are not sharded: slots do not matter, and messages are ephemeral
	ended *endings                 // beside streams: what entries have ended before their questions came; else nil
}

func (d *sharded) speech() *redisserver.Speech {
	return &redisserver.Speech{Sharded: true, Wanted: d.wanted, Receive: d.receive, Fenced: d.fenced}
}

func (d *sharded) pattern(string) (in redissub.Interest, ok bool) { return redissub.Interest{}, false }

func (d *sharded) slot(channel string) uint16 {
	if d.plain {
		return 0
	}
	return redisconn.Slot(channel)
}

func (d *sharded) interest(channel string, k redissub.Kind, nsp, room string) redissub.Interest {
	return redissub.Interest{Channel: channel, Kind: k, Slot: d.slot(channel), Namespace: nsp, Room: room}
}

func (d *sharded) requests(nsp string) redissub.Interest {
	return d.interest(rediswire.BroadcastChannel(d.config.Key, nsp), redissub.Broadcast, nsp, "")
}

func (d *sharded) answers(nsp, node string) string {
	return rediswire.NodeChannel(d.config.Key, nsp, node)
}

func (d *sharded) open(nsp string) []redissub.Interest {
	own := d.interest(d.answers(nsp, d.config.NodeID), redissub.Own, nsp, "")
	return []redissub.Interest{d.requests(nsp), own}
}

// certain holds the channel of this node too: a room that is called as the node is received there.
func (d *sharded) certain(nsp string) []redissub.Interest { return d.open(nsp) }

// listening is everything, since a node that has subscribed to its own channel is one that others expect answers of.
func (d *sharded) listening(nsp string) []redissub.Interest { return d.open(nsp) }

func (d *sharded) wanted(in redissub.Interest) bool {
	return d.inbox.wanted(in) || in.Kind != redissub.Room && in.Namespace != "" && d.namespaces.isAsking(in.Namespace)
}

// rooms leaves out those that are received on the channel of the namespace, and one that is called as this node.
func (d *sharded) rooms(nsp string, names []string) []redissub.Interest {
	interests := make([]redissub.Interest, 0, len(names))
	for _, room := range names {
		if d.mode.HasChannel(room) && room != d.config.NodeID {
			channel := rediswire.RoomChannel(d.config.Key, nsp, room)
			interests = append(interests, d.interest(channel, redissub.Room, nsp, room))
		}
	}
	return interests
}

// order is that of the channel of the namespace, and of those of rooms that have one: the same slots on every node.
func (d *sharded) order(nsp string, names []string) []uint16 {
	slots := []uint16{d.slot(rediswire.BroadcastChannel(d.config.Key, nsp))}
	for _, room := range names {
		if d.mode.HasChannel(room) {
			slots = append(slots, d.slot(rediswire.RoomChannel(d.config.Key, nsp, room)))
		}
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}

func (d *sharded) command(c adapter.Command) (redisqueue.Message, error) {
	nsp := adapter.NamespaceOf(c)
	var channel string
	if b, ok := c.(adapter.Broadcast); ok && !d.justJoined(&b) {
		channel = rediswire.ShardedBroadcastTo(d.config.Key, d.mode, &b)
	} else {
		channel = rediswire.BroadcastChannel(d.config.Key, nsp)
	}
	return d.message(channel, nsp, rediswire.ClusterMessage{Command: c})
}

func (d *sharded) query(id string, q adapter.Query) (redisqueue.Message, error) {
	nsp, _ := d.about(q)
	channel := rediswire.BroadcastChannel(d.config.Key, nsp)
	return d.message(channel, nsp, rediswire.ClusterMessage{ID: id, Query: q})
}

func (d *sharded) message(channel, nsp string, m rediswire.ClusterMessage) (redisqueue.Message, error) {
	m.UID = d.config.NodeID
	var payload []byte
	if b, ok := m.Command.(adapter.Broadcast); ok {
		payload = roomFor(&b)
	}
	var err error
	if d.plain { // not a func in a field, for which m would be allocated
		payload, err = rediswire.AppendEphemeral(payload, nsp, &m)
	} else {
		payload, err = rediswire.AppendCluster(payload, nsp, &m)
	}
	return redisqueue.Message{Channel: channel, Slot: d.slot(channel), Payload: payload}, err
}

func (d *sharded) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubShardNumSub(ctx, channels...).Result()
}

// receive takes every message on sharded channels. What it is decides what is done with it, not where it came.
func (d *sharded) receive(in redissub.Interest, p *redisconn.Push) redisserver.Drop {
	a := d.inbox
	// Questions are answered for as long as their channel is subscribed, which may be longer than the namespace is open.
	if in.Kind == redissub.Room && !a.hasMember(in) {
		return droppedNoMember
	}
	if rediswire.IsClusterEcho(p.Payload, in.Namespace, a.config.NodeID) && !a.follows(in.Namespace) {
		return droppedOwn
	}
	payload := p.Keep()
	if uid, b, ok := rediswire.ClusterBroadcast(in.Namespace, in.Room, payload, a.limits); ok {
		b.Received = p.At
		return d.perform(in, p, string(uid), b)
	}
	m, err := rediswire.DecodeCluster(in.Namespace, payload, a.limits)
	switch {
	case err != nil:
		return a.refuseAnswer(in.Namespace, payload, err)
	case m.Reply == nil && m.Query == nil:
		if b, ok := m.Command.(adapter.Broadcast); ok {
			b.Received = p.At
			m.Command = b
		}
		return d.perform(in, p, m.UID, m.Command)
	case !a.answeredBy(m.UID):
		return droppedOwn
	case m.Reply != nil:
		return a.receiveAnswer(rediswire.Response{ID: m.ID, UID: m.UID, Type: m.Type, Reply: m.Reply, Extent: m.Extent})
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	a.answerQuery(in.Namespace, m.Query, func(reply adapter.Reply) { d.respond(in.Namespace, &m, reply) })
	return redisserver.Accepted
}

// perform has the node above carry out a command of the node uid.
func (d *sharded) perform(in redissub.Interest, p *redisconn.Push, uid string, c adapter.Command) redisserver.Drop {
	a := d.inbox
	own := uid == a.config.NodeID
	switch {
	case own && !a.follows(in.Namespace):
		return droppedOwn
	case !a.namespaces.isOpen(in.Namespace):
		return droppedNoMember
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	a.deliver(in, p, c, own)
	return redisserver.Accepted
}

// respond publishes an answer of this node on the channel of the one that asked.
func (d *sharded) respond(nsp string, asked *rediswire.ClusterMessage, reply adapter.Reply) {
	a := d.inbox
	answer := rediswire.ClusterMessage{ID: asked.ID, Type: rediswire.TypeBroadcastAsk}
	switch q := asked.Query.(type) {
	case adapter.ServerAsk:
		answer.Type = rediswire.TypeServerEmit
	case adapter.Perform:
		counted, counts := reply.(adapter.Counted)
		if _, ends := q.Command.(adapter.Disconnect); ends && counts {
			counted.Sockets += d.ended.take(asked.UID, asked.ID, time.Now().Add(-a.config.RequestTimeout))
			reply = counted
		}
	}
	channel := d.answers(nsp, asked.UID)
	payloads, err := a.answer(asked.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) ([]byte, error) {
		answer.Reply, answer.Extent = reply, extent
		m, err := d.message(channel, nsp, answer)
		return m.Payload, err
	})
	if err != nil {
		a.unanswerable(nsp, err)
		return
	}
	for _, payload := range payloads {
		d.push(redisqueue.Message{Channel: channel, Slot: d.slot(channel), Payload: payload})
	}
}
