package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// dialect is how the nodes of a cluster speak to one another: on which channels, and in which bytes.
type dialect interface {
	// command is what has the other nodes carry c out.
	command(c adapter.Command) (message, error)
	// query is what puts q to the other nodes.
	query(id string, q adapter.Query) (message, error)
	// listen waits until this node hears answers in nsp; it does until release is called.
	listen(ctx context.Context, nsp string) (release func(), err error)
	// requests is what every node that has nsp subscribes to exactly once, answers the channel that only one does.
	requests(nsp string) interest
	answers(nsp, node string) string
	// probes are the channels that tell others that this node hears. sameServer reports whether one server serves both
	// channels.
	probes() []string
	sameServer(channel, other string) bool
	// isOn reports whether this node has subscribed.
	isOn(in interest) bool
	// count is how many connections have subscribed to each channel at one server.
	count(ctx context.Context, client *goredis.Client, channels []string) (map[string]int64, error)
}

// envelope is more than a broadcast has around its arguments, attachments and names, in either dialect.
const envelope = 160

// roomFor is an empty payload that takes b without growing, unless the ids of nodes are long.
func roomFor(b *adapter.Broadcast) []byte {
	size := envelope + len(b.Args.JSON)
	for _, names := range [][]string{b.Target.Rooms, b.Target.Except} {
		for _, name := range names {
			size += len(name) + len(`"",`)
		}
	}
	for _, attachment := range b.Args.Attachments {
		size += len(attachment)
	}
	return make([]byte, 0, size)
}

// classic is the dialect of Node's createAdapter.
type classic struct{ adapter *Adapter }

func (d classic) command(c adapter.Command) (m message, err error) {
	cfg := &d.adapter.config
	if b, ok := c.(adapter.Broadcast); ok {
		m.channel = rediswire.BroadcastTo(cfg.Key, &b)
		m.payload, err = rediswire.AppendBroadcast(roomFor(&b), cfg.NodeID, &b)
		return m, err
	}
	m.channel = rediswire.RequestChannel(cfg.Key, adapter.NamespaceOf(c))
	m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: cfg.NodeID, Command: c})
	return m, err
}

func (d classic) query(id string, q adapter.Query) (m message, err error) {
	nsp, _ := d.adapter.about(q)
	m.channel = rediswire.RequestChannel(d.adapter.config.Key, nsp)
	m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: d.adapter.config.NodeID, ID: id, Query: q})
	return m, err
}

func (d classic) listen(ctx context.Context, nsp string) (release func(), err error) {
	s := d.adapter.subscriber
	shared := s.naming.shared(nsp)
	change := func(by int) {
		s.namespaces.setAsking(nsp, by)
		s.hint(shared)
	}
	change(1)
	if err := wait(ctx, func(done func(error)) { s.confirm([]interest{shared}, done) }); err != nil {
		change(-1)
		return nil, err
	}
	return func() { change(-1) }, nil
}

func (d classic) requests(nsp string) interest { return d.adapter.subscriber.naming.request(nsp) }

func (d classic) answers(nsp, node string) string {
	return rediswire.OwnResponseChannel(d.adapter.config.Key, nsp, node)
}

func (d classic) probes() []string {
	if !d.adapter.watchdog.ready.Load() {
		return nil
	}
	return []string{d.adapter.subscriber.currentProbe().channel}
}

func (d classic) sameServer(string, string) bool { return true }

func (d classic) isOn(in interest) bool { return d.adapter.subscriber.isOn(in) }

func (d classic) count(
	ctx context.Context, client *goredis.Client, channels []string,
) (map[string]int64, error) {
	return client.PubSubNumSub(ctx, channels...).Result()
}
