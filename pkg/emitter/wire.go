package emitter

import (
	"context"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/joined"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// message is bytes, and the channel that they are published on.
type message struct {
	channel string
	payload []byte
}

// wire is a dialect of the cluster: which bytes go on which channels, and with which commands of Redis.
type wire interface {
	command(c adapter.Command) (message, error)
	publish(ctx context.Context, nsp string, m message) error

	// question is a broadcast with acknowledgements, asked by uid.
	question(uid, id string, q adapter.BroadcastAsk) (message, error)
	// answers are the channels on which answers to uid come.
	answers(nsp, uid string) []string
	subscribe(ctx context.Context, channels []string) *goredis.PubSub
	// answer reads a message that came on one of them.
	answer(nsp string, payload []byte) (rediswire.Response, error)
	// nodes asks Redis how many nodes receive questions at this moment, and for their names as far as they can be had.
	nodes(ctx context.Context, nsp string) (count int, names []string, err error)
}

// channels is what both dialects know of the cluster.
type channels struct {
	client goredis.UniversalClient
	key    string
	joined *joined.Rooms
}

// justJoined reports whether sockets have been made to join the one room of b a moment ago: they may be on nodes that have
// not subscribed to its channel yet, while they all receive the namespace's.
func (c *channels) justJoined(b *adapter.Broadcast) bool {
	return len(b.Target.Rooms) == 1 && c.joined.Has(b.Namespace, b.Target.Rooms[0])
}

// namesOf reads the names of nodes from the channels on which they receive answers: those between two texts.
func namesOf(list []string, before, after string) []string {
	names := make([]string, 0, len(list))
	for _, channel := range list {
		name, ok := strings.CutPrefix(channel, before)
		if name, cut := strings.CutSuffix(name, after); ok && cut && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// eachServer calls f for the server, or for each master of a Redis Cluster: each knows its own subscribers only.
func (c *channels) eachServer(ctx context.Context, f func(context.Context, *goredis.Client) error) error {
	cluster, ok := c.client.(*goredis.ClusterClient)
	if !ok {
		if single, ok := c.client.(*goredis.Client); ok {
			return f(ctx, single)
		}
		return errClient
	}
	var mu sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		return f(ctx, master)
	})
}

// classic is the dialect of @socket.io/redis-adapter and @socket.io/redis-emitter.
type classic struct{ *channels }

func (w classic) command(c adapter.Command) (m message, err error) {
	switch c := c.(type) {
	case adapter.Broadcast:
		m.channel = rediswire.BroadcastTo(w.key, &c)
		if w.justJoined(&c) {
			m.channel = rediswire.BroadcastChannel(w.key, c.Namespace)
		}
		m.payload, err = rediswire.AppendEmitterBroadcast(nil, &c)
	case adapter.ServerEmit:
		m.channel = rediswire.RequestChannel(w.key, c.Namespace)
		m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: rediswire.EmitterUID, Command: c})
	default:
		m.channel = rediswire.RequestChannel(w.key, adapter.NamespaceOf(c))
		m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{Command: c})
	}
	return m, err
}

// publish publishes everything of a namespace at the same master of a Redis Cluster. All masters pass messages on to each
// other, but keep no order between what was published at one and at another; a room could then be addressed before the
// command arrives that makes sockets join it.
func (w classic) publish(ctx context.Context, nsp string, m message) error {
	cluster, ok := w.client.(*goredis.ClusterClient)
	if !ok {
		return w.client.Publish(ctx, m.channel, m.payload).Err()
	}
	master, err := cluster.MasterForKey(ctx, rediswire.BroadcastChannel(w.key, nsp))
	if err != nil {
		return err
	}
	if err = master.Publish(ctx, m.channel, m.payload).Err(); err != nil {
		cluster.ReloadState(ctx) // another server may be the master now
	}
	return err
}

func (w classic) question(uid, id string, q adapter.BroadcastAsk) (m message, err error) {
	m.channel = rediswire.RequestChannel(w.key, q.Broadcast.Namespace)
	m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: uid, ID: id, Query: q})
	return m, err
}

// answers: nodes answer on the channel for all, unless they are configured to use the one for the asker.
func (w classic) answers(nsp, uid string) []string {
	return []string{rediswire.ResponseChannel(w.key, nsp), rediswire.OwnResponseChannel(w.key, nsp, uid)}
}

func (w classic) subscribe(ctx context.Context, channels []string) *goredis.PubSub {
	return w.client.Subscribe(ctx, channels...)
}

func (w classic) answer(_ string, payload []byte) (rediswire.Response, error) {
	return rediswire.DecodeResponse(payload, rediswire.Limits{})
}

func (w classic) nodes(ctx context.Context, nsp string) (count int, names []string, err error) {
	request := rediswire.RequestChannel(w.key, nsp)
	pattern := rediswire.OwnResponsePattern(w.key, nsp)
	err = w.eachServer(ctx, func(ctx context.Context, server *goredis.Client) error {
		counts, err := server.PubSubNumSub(ctx, request).Result()
		if err != nil {
			return err
		}
		count += int(counts[request])
		list, err := server.PubSubChannels(ctx, pattern).Result()
		names = append(names, namesOf(list, rediswire.ResponseChannel(w.key, nsp), "#")...)
		return err
	})
	return count, names, err
}

// sharded is the dialect of Node's createShardedAdapter.
type sharded struct {
	*channels
	mode rediswire.Mode
	uid  string
}

func (w sharded) command(c adapter.Command) (message, error) {
	channel := rediswire.BroadcastChannel(w.key, adapter.NamespaceOf(c))
	if b, ok := c.(adapter.Broadcast); ok && !w.justJoined(&b) {
		channel = rediswire.ShardedBroadcastTo(w.key, w.mode, &b)
	}
	payload, err := rediswire.AppendCluster(nil, adapter.NamespaceOf(c), &rediswire.ClusterMessage{UID: w.uid, Command: c})
	return message{channel, payload}, err
}

func (w sharded) publish(ctx context.Context, _ string, m message) error {
	return w.client.SPublish(ctx, m.channel, m.payload).Err()
}

func (w sharded) question(uid, id string, q adapter.BroadcastAsk) (message, error) {
	nsp := q.Broadcast.Namespace
	payload, err := rediswire.AppendCluster(nil, nsp, &rediswire.ClusterMessage{UID: uid, ID: id, Query: q})
	return message{rediswire.BroadcastChannel(w.key, nsp), payload}, err
}

func (w sharded) answers(nsp, uid string) []string {
	return []string{rediswire.NodeChannel(w.key, nsp, uid)}
}

func (w sharded) subscribe(ctx context.Context, channels []string) *goredis.PubSub {
	return w.client.SSubscribe(ctx, channels...)
}

func (w sharded) answer(nsp string, payload []byte) (rediswire.Response, error) {
	m, err := rediswire.DecodeCluster(nsp, payload, rediswire.Limits{})
	if err == nil && m.Reply == nil {
		err = errNoReply
	}
	return rediswire.Response{ID: m.ID, UID: m.UID, Type: m.Type, Reply: m.Reply, Extent: m.Extent}, err
}

// nodes: the channels of rooms look like those of nodes, so that no names can be had.
func (w sharded) nodes(ctx context.Context, nsp string) (count int, names []string, err error) {
	channel := rediswire.BroadcastChannel(w.key, nsp)
	err = w.eachServer(ctx, func(ctx context.Context, server *goredis.Client) error {
		counts, err := server.PubSubShardNumSub(ctx, channel).Result()
		count += int(counts[channel])
		return err
	})
	return count, nil, err
}
