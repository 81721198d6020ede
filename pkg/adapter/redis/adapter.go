package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

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
	membership *membership
	refusals   *refusals
	namespaces *namespaces
	dialect    dialect // what this node speaks itself
	// For sharded channels, else nil. The fields above are for classic ones then, where hearsClassic.
	shards       *shards
	sharding     *sharded
	hearsClassic bool

	tag atomic.Pointer[string] // of new ids

	showing sync.Mutex // while redis_up is worked out and set

	// delivering has the node above hear one message at a time where there are several subscriptions.
	delivering sync.Mutex

	// Set by Run before it starts anything.
	node adapter.Node
}

var _ adapter.Adapter = (*Adapter)(nil)

// New makes the adapter of one node; Run starts it. Redis need not be there yet.
//
// The client says where Redis is and how to log in. For publishing and subscribing the adapter makes connections of
// its own from the client's options; the client itself serves for heartbeats and counting. It stays the caller's:
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
	rights := newRefusals(cfg.Logger, m)
	a := &Adapter{
		config:     cfg,
		limits:     rediswire.Limits{Bytes: cfg.MaxMessage, Depth: cfg.MaxDepth + rediswire.Wrapping},
		client:     client,
		log:        cfg.Logger,
		metrics:    m,
		asks:       newAsks(m),
		refusals:   rights,
		namespaces: newNamespaces(),
	}
	only := newLane()
	a.queue = newQueue(cfg.Queue, m, func(uint16) *lane { return only })
	probe := interest{channel: cfg.Prefix + ":probe:" + cfg.NodeID, kind: kindProbe}
	a.subscriber = newSubscriber(cfg, from, probe, a.namespaces, m, rights)
	a.membership = &membership{
		client:   client,
		keys:     memberKeys{prefix: cfg.Prefix},
		self:     member{ID: cfg.NodeID, Tag: cfg.Tag, Version: cfg.Version},
		log:      cfg.Logger,
		metrics:  m,
		refusals: rights,
		gone:     a.asks.leave,
		adopt:    a.adopt,
		roster:   newRoster(),
	}
	a.tag.Store(&cfg.Tag)
	a.publisher = &publisher{
		source: from, queue: a.queue, lane: only, log: cfg.Logger, metrics: m, refusals: rights,
		changed: a.showConnected, trouble: func() {},
	}
	a.watchdog = newWatchdog(a.subscriber, a.publisher)
	a.subscriber.message = a.receive
	a.subscriber.attached = a.watchdog.listening
	a.subscriber.trouble = func() {}
	a.membership.probes = func() []string { return a.dialect.probes() }
	a.dialect, a.hearsClassic = classic{a}, true
	if cfg.Sharding != nil {
		a.sharding = &sharded{adapter: a, mode: cfg.Sharding.Mode.wire()}
		a.dialect, a.hearsClassic = a.sharding, cfg.Sharding.ClassicEmitters
		if a.shards, err = newShards(a, client); err != nil {
			return nil, err
		}
	}
	if err := registerDeaf(cfg.Registry, func() bool { return a.State().Deaf }); err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	return a, nil
}

// Run implements [adapter.Adapter]. When ctx ends the node says that it leaves before it stops hearing, or others would
// take it for cut off. What waits to be published then still has a second to leave.
func (a *Adapter) Run(ctx context.Context, node adapter.Node) error {
	a.node = node
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	if a.hearsClassic {
		group.Go(func() { a.subscriber.receive(connected) })
		group.Go(func() { a.subscriber.command(connected, node) })
		group.Go(func() { a.watchdog.run(connected) })
		group.Go(func() { a.publisher.run(connected) })
	}
	if a.shards != nil {
		group.Go(func() { a.shards.run(connected) })
	}
	a.membership.run(ctx)
	disconnect()
	group.Wait()
	a.subscriber.close()
	a.asks.close()
	a.queue.close()
	return nil
}

// Open implements [adapter.Adapter].
func (a *Adapter) Open(nsp string) { a.setOpen(nsp, true) }

// Close implements [adapter.Adapter].
func (a *Adapter) Close(nsp string) { a.setOpen(nsp, false) }

func (a *Adapter) setOpen(nsp string, open bool) {
	a.namespaces.setOpen(nsp, open)
	if a.hearsClassic {
		n := a.subscriber.naming
		a.subscriber.hint(n.broadcast(nsp), n.request(nsp), n.own(nsp))
	}
	if a.shards != nil {
		a.shards.hint(a.sharding.main(nsp), a.sharding.own(nsp))
	}
}

// Touch implements [adapter.Adapter].
func (a *Adapter) Touch(nsp string, rooms ...string) {
	if a.hearsClassic {
		a.subscriber.touch(nsp, rooms)
	}
	if a.shards != nil {
		a.shards.hint(a.sharding.rooms(nsp, rooms)...)
	}
}

// Confirm implements [adapter.Adapter]. The channel of the whole namespace is waited for as well, since that is where
// messages for several rooms are published.
func (a *Adapter) Confirm(nsp string, rooms []string, done func(error)) {
	if a.shards != nil && a.hearsClassic {
		done = (&joint{left: 2, done: done}).part
	}
	if a.hearsClassic {
		interests := make([]interest, 0, len(rooms)+1)
		interests = append(interests, a.subscriber.naming.broadcast(nsp))
		for _, room := range rooms {
			interests = append(interests, a.subscriber.naming.room(nsp, room))
		}
		a.subscriber.confirm(interests, done)
	}
	if a.shards != nil {
		a.shards.confirm(append(a.sharding.rooms(nsp, rooms), a.sharding.main(nsp), a.sharding.own(nsp)), done)
	}
}

// State implements [adapter.Adapter]. Of several masters the worst one counts.
func (a *Adapter) State() adapter.State {
	state := adapter.State{Ready: a.membership.announced.Load(), Connected: true}
	if a.hearsClassic {
		connected := a.publisher.connected.Load()
		state.Ready = state.Ready && a.watchdog.ready.Load()
		state.Connected = connected
		state.Deaf = connected && a.watchdog.deaf.Load()
	}
	if a.shards != nil {
		state.Ready = a.shards.isReady() && state.Ready
		state.Connected = state.Connected && a.shards.connected()
		state.Deaf = state.Deaf || a.shards.deaf()
	}
	return state
}

// showConnected may be called by several goroutines: whoever looks last has the last word.
func (a *Adapter) showConnected() {
	a.showing.Lock()
	defer a.showing.Unlock()
	up := 0.0
	if a.State().Connected {
		up = 1
	}
	a.metrics.up.Set(up)
}

// Publish implements [adapter.Adapter].
func (a *Adapter) Publish(c adapter.Command, done func(error)) {
	m, err := a.dialect.command(c)
	m.done = done
	if err != nil {
		a.queue.drop([]message{m}, dropInvalid, fmt.Errorf("redis: encode command: %w", err))
		return
	}
	m.done = a.traced(m, c, done)
	a.push(m)
}

// push queues a message for the server it is for.
func (a *Adapter) push(m message) {
	if m.sharded {
		a.shards.queue.push(m)
	} else {
		a.queue.push(m)
	}
}
