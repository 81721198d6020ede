package redis

import (
	"context"
	"fmt"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Adapter connects a server to its cluster over Redis Pub/Sub.
type Adapter struct {
	// Static after construction.
	config     Config
	limits     rediswire.Limits
	client     goredis.UniversalClient
	log        *zap.Logger
	metrics    *metrics
	queue      *queue
	publisher  *publisher
	subscriber *subscriber
	watchdog   *watchdog
	asks       *asks

	// Set by Run before it starts anything.
	node adapter.Node
}

var _ adapter.Adapter = (*Adapter)(nil)

// New makes the adapter of one node; Run starts it. Redis need not be there yet.
//
// The client says where Redis is and how to log in. For publishing and subscribing the adapter makes connections of
// its own from the client's options; the client itself only serves for counting subscribers. It stays the caller's:
// the adapter never closes it, and it must stay open until Run has returned. *goredis.Client, sentinel-backed ones
// included, and *goredis.ClusterClient are supported.
func New(client goredis.UniversalClient, cfg Config) (*Adapter, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	from, err := newSource(client, cfg.Key)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	a := &Adapter{
		config:     cfg,
		limits:     rediswire.Limits{Bytes: cfg.MaxMessage, Depth: cfg.MaxDepth},
		client:     client,
		log:        cfg.Logger,
		metrics:    m,
		queue:      newQueue(cfg.Queue, m),
		subscriber: newSubscriber(cfg, from, m),
		asks:       newAsks(m),
	}
	a.publisher = &publisher{source: from, queue: a.queue, log: cfg.Logger, metrics: m}
	a.watchdog = &watchdog{
		subscriber: a.subscriber,
		publisher:  a.publisher,
		metrics:    m,
		log:        cfg.Logger,
		wake:       make(chan struct{}, 1),
	}
	a.subscriber.message = a.receive
	a.subscriber.attached = a.watchdog.listening
	return a, nil
}

// Run implements [adapter.Adapter]. What waits to be published when ctx ends still has a second to leave.
func (a *Adapter) Run(ctx context.Context, node adapter.Node) error {
	a.node = node
	var group sync.WaitGroup
	group.Go(func() { a.subscriber.receive(ctx) })
	group.Go(func() { a.subscriber.command(ctx, node) })
	group.Go(func() { a.watchdog.run(ctx) })
	group.Go(func() { a.publisher.run(ctx) })
	group.Wait()
	a.subscriber.close()
	a.asks.close()
	a.queue.close()
	return nil
}

// Open implements [adapter.Adapter].
func (a *Adapter) Open(nsp string) { a.subscriber.setOpen(nsp, true) }

// Close implements [adapter.Adapter].
func (a *Adapter) Close(nsp string) { a.subscriber.setOpen(nsp, false) }

// Touch implements [adapter.Adapter].
func (a *Adapter) Touch(nsp string, rooms ...string) { a.subscriber.touch(nsp, rooms) }

// Confirm implements [adapter.Adapter]. The channel of the whole namespace is waited for as well, since that is where
// messages for several rooms are published.
func (a *Adapter) Confirm(nsp string, rooms []string, done func(error)) {
	interests := make([]interest, 0, len(rooms)+1)
	interests = append(interests, a.subscriber.naming.broadcast(nsp))
	for _, room := range rooms {
		interests = append(interests, a.subscriber.naming.room(nsp, room))
	}
	a.subscriber.confirm(interests, done)
}

// State implements [adapter.Adapter].
func (a *Adapter) State() adapter.State {
	connected := a.publisher.connected.Load()
	return adapter.State{
		Ready:     a.watchdog.ready.Load(),
		Connected: connected,
		Deaf:      connected && a.watchdog.deaf.Load(),
	}
}

// Publish implements [adapter.Adapter].
func (a *Adapter) Publish(c adapter.Command, done func(error)) {
	m := message{done: done}
	var err error
	if b, ok := c.(adapter.Broadcast); ok {
		m.channel = rediswire.BroadcastTo(a.config.Key, &b)
		m.payload, err = rediswire.AppendBroadcast(nil, a.config.NodeID, &b)
	} else {
		m.channel = rediswire.RequestChannel(a.config.Key, namespaceOf(c))
		m.payload, err = rediswire.AppendRequest(nil, &rediswire.Request{UID: a.config.NodeID, Command: c})
	}
	if err != nil {
		a.queue.drop([]message{m}, dropInvalid, fmt.Errorf("redis: encode command: %w", err))
		return
	}
	a.queue.push(m)
}

func namespaceOf(c adapter.Command) string {
	switch c := c.(type) {
	case adapter.Broadcast:
		return c.Namespace
	case adapter.Join:
		return c.Namespace
	case adapter.Leave:
		return c.Namespace
	case adapter.Disconnect:
		return c.Namespace
	case adapter.ServerEmit:
		return c.Namespace
	}
	return ""
}
