package pythonbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Config configures a Bus. All fields but CallbackTimeout, Logger and Registry must be set.
type Config struct {
	// Channel is python-socketio's; its default is "socketio".
	Channel string
	// Cluster names the cluster, the same on all nodes that have one adapter in common: they skip each other's messages.
	Cluster string
	// NodeID names this node in the cluster, and is new with every process.
	NodeID string
	// Probe is the channel on which this node sends itself messages; no other process uses it.
	Probe string
	// Messages, Bytes and Age bound what waits to be published. Over a bound the oldest are dropped and counted.
	Messages, Bytes int
	Age             time.Duration
	// MaxMessage is the longest message read, in bytes.
	MaxMessage int
	// MaxDepth is how deep arguments from Python may nest.
	MaxDepth int
	// CallbackTimeout is how long a client's acknowledgement is waited for on behalf of Python; default 60 s, which is how long
	// python-socketio's call waits.
	CallbackTimeout time.Duration
	Logger          *zap.Logger           // nil: none
	Registry        prometheus.Registerer // nil: metrics are kept, not registered
}

// Bus is an adapter that also speaks with python-socketio. It passes all else to the adapter below it.
type Bus struct {
	adapter.Adapter

	// Static after construction.
	config    Config
	log       *zap.Logger
	metrics   *metrics
	dialers   [2]redisconn.Dialer // of the subscription and the publisher
	writer    writer
	peers     []byte // what messages of this cluster's nodes begin with
	queue     *queue
	callbacks callbacks
	health    health

	node adapter.Node // set by Run before anything is received
}

var _ adapter.Adapter = (*Bus)(nil)

// New puts a bus before an adapter. The client says where Redis is and how to log in; the bus makes connections of its own
// from its options once Run is called.
func New(inner adapter.Adapter, client goredis.UniversalClient, cfg Config) (*Bus, error) {
	if cfg.Channel == "" || cfg.Cluster == "" || cfg.NodeID == "" || cfg.Probe == "" || cfg.Messages <= 0 || cfg.Bytes <= 0 ||
		cfg.Age <= 0 || cfg.MaxMessage <= 0 || cfg.MaxDepth <= 0 || cfg.CallbackTimeout < 0 {
		return nil, errors.New("pythonbus: a field of the configuration is not set")
	}
	if cfg.CallbackTimeout == 0 {
		cfg.CallbackTimeout = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	source, err := redisconn.NewSource(client, cfg.Channel)
	if err != nil {
		return nil, fmt.Errorf("pythonbus: %w", err)
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("pythonbus: register metrics: %w", err)
	}
	cluster := packet.AppendString(nil, "carillon:"+cfg.Cluster+":")
	return &Bus{
		Adapter: inner, config: cfg, log: cfg.Logger, metrics: m,
		dialers: [2]redisconn.Dialer{
			{Source: source, Name: "carillon-python-in"}, {Source: source, Name: "carillon-python-out"},
		},
		writer: writer{host: packet.AppendString(nil, hostID(&cfg))},
		peers:  append([]byte(hostStart), cluster[:len(cluster)-1]...), // without the closing quote
		queue:  newQueue(cfg.Messages, cfg.Bytes, cfg.Age, m),
	}, nil
}

// hostID is what this node calls itself on the channel.
func hostID(cfg *Config) string { return "carillon:" + cfg.Cluster + ":" + cfg.NodeID }

// Run serves the bus and the adapter below it until ctx ends. The bus being down is no error: it keeps trying, and
// carillon_python_up tells.
func (b *Bus) Run(ctx context.Context, node adapter.Node) error {
	b.node = node
	var group sync.WaitGroup
	group.Go(func() { b.subscribe(ctx) })
	group.Go(func() { b.publish(ctx) })
	err := b.Adapter.Run(ctx, node)
	group.Wait()
	return err
}

// Sessions are those of the adapter below; nil: it has none.
func (b *Bus) Sessions() adapter.Sessions { return adapter.SessionsOf(b.Adapter) }

// Publish hands a command to the other nodes, and to python-socketio as far as it has words for it. done tells of the nodes.
func (b *Bus) Publish(c adapter.Command, done func(error)) {
	b.Adapter.Publish(c, done)
	if _, ok := c.(adapter.ServerEmit); !ok { // Python's servers have nothing of the kind
		b.send(c)
	}
}

// send queues what a command is on the channel.
func (b *Bus) send(c adapter.Command) {
	messages := b.writer.command(c)
	if len(messages) == 0 {
		b.metrics.drop(dropUnsupported)
	}
	for _, m := range messages {
		b.queue.push(m)
	}
}

// Ask puts a question to the other nodes. python-socketio answers one only: what a single client of its servers acknowledges an
// event with. Others are asked of the nodes alone, and the event of a BroadcastAsk then reaches Python's clients without being
// answered.
func (b *Bus) Ask(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) ([]string, error) {
	var question adapter.BroadcastAsk
	switch q := q.(type) {
	case adapter.BroadcastAsk:
		question = q
	case adapter.Perform: // a command whose sender wants to know that it is carried out: Python obeys and does not say
		b.send(q.Command)
		return b.Adapter.Ask(ctx, q, reply)
	default:
		return b.Adapter.Ask(ctx, q, reply)
	}
	t := question.Broadcast.Target
	single := len(t.Rooms) == 1 && len(t.Except) == 0 && isID(question.Broadcast.Namespace, t.Rooms[0])
	if !single {
		b.send(question.Broadcast)
		return b.Adapter.Ask(ctx, q, reply)
	}
	if b.node != nil && b.node.Holds(question.Broadcast.Namespace, t.Rooms[0]) {
		return b.Adapter.Ask(ctx, q, reply)
	}
	return b.askOne(ctx, &question, reply)
}

// NodeID is the node's name in the cluster, as the adapter below has it.
func (b *Bus) NodeID() string {
	if named, ok := b.Adapter.(interface{ NodeID() string }); ok {
		return named.NodeID()
	}
	return b.config.NodeID
}
