package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Adapter connects a server to its cluster over Redis Pub/Sub.
type Adapter struct {
	*inbox

	// Static after construction.
	client  goredis.UniversalClient
	sets    []*set
	dialect *set // the one of them that this node speaks in; it listens to all

	tag atomic.Pointer[string] // of new ids

	showing sync.Mutex // while redis_up is worked out and set

	starting sync.Mutex
	// starting guards the following.
	early []func() // what was asked for before Run
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
	source, err := redisconn.NewSource(client, cfg.Key)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	e := &env{
		config:     cfg,
		metrics:    m,
		refusals:   redisconn.NewRefusals(cfg.Logger, func(what string) { m.refused[what].Inc() }),
		namespaces: newNamespaces(),
	}
	a := &Adapter{
		inbox: &inbox{
			env:    e,
			limits: rediswire.Limits{Bytes: cfg.MaxMessage, Depth: cfg.MaxDepth + rediswire.Wrapping},
			log:    cfg.Logger,
			tags:   newTags(cfg.Key, cfg.Tag),
		},
		client: client,
	}
	a.peers = a.joinCluster()
	a.tag.Store(&cfg.Tag)
	a.makeSets(client, source)
	if err := registerDeaf(cfg.Registry, func() bool { return a.State().Deaf }); err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	return a, nil
}

// makeSets makes the sets that the configuration asks for; the first is the one to speak in.
func (a *Adapter) makeSets(client goredis.UniversalClient, source redisconn.Source) {
	cfg := &a.config
	probe := cfg.Prefix + ":probe:" + cfg.NodeID
	if cfg.Sharding != nil {
		d := &sharded{inbox: a.inbox, mode: cfg.Sharding.Mode.wire()}
		s := &set{dialect: d, env: a.env}
		if cluster, ok := client.(*goredis.ClusterClient); ok {
			s.placement = newSlots(cluster, d.speech(), a.env, a.showConnected)
		} else {
			channel := probe + ":{0}"
			in := interest{channel: channel, kind: kindProbe, slot: rediswire.Slot(channel)}
			s.placement = newSingle(source, d.speech(), in, a.env, a.showConnected)
		}
		d.push = s.push
		a.sets = append(a.sets, s)
	}
	if cfg.Sharding == nil || cfg.Sharding.ClassicEmitters {
		d := &classic{inbox: a.inbox, wide: cfg.Interest == InterestNamespace}
		s := &set{dialect: d, env: a.env}
		in := interest{channel: probe, kind: kindProbe}
		s.placement = newSingle(source, d.speech(), in, a.env, a.showConnected)
		d.push = s.push
		if cfg.Tag != "" && !d.wide {
			s.touch([]interest{d.pattern(cfg.Tag)})
		}
		a.sets = append(a.sets, s)
	}
	a.dialect = a.sets[0]
}

// Run implements [adapter.Adapter]. When ctx ends the node says that it leaves before it stops receiving, or others would
// take it for cut off. What waits to be published then still has a second to leave.
func (a *Adapter) Run(ctx context.Context, node adapter.Node) error {
	a.start(node)
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, s := range a.sets {
		group.Go(func() { s.run(connected) })
	}
	a.peers.Run(ctx)
	disconnect()
	group.Wait()
	a.questions.Close()
	return nil
}

// start does what was asked for before there was a node.
func (a *Adapter) start(node adapter.Node) {
	a.node = node
	a.starting.Lock()
	a.running.Store(true)
	early := a.early
	a.early = nil
	a.starting.Unlock()
	for _, f := range early {
		f()
	}
}

// whenRunning calls f now, or when Run has begun.
func (a *Adapter) whenRunning(f func()) {
	if !a.running.Load() {
		a.starting.Lock()
		waits := !a.running.Load()
		if waits {
			a.early = append(a.early, f)
		}
		a.starting.Unlock()
		if waits {
			return
		}
	}
	f()
}

// Open implements [adapter.Adapter].
func (a *Adapter) Open(nsp string) { a.setOpen(nsp, true) }

// Close implements [adapter.Adapter].
func (a *Adapter) Close(nsp string) { a.setOpen(nsp, false) }

func (a *Adapter) setOpen(nsp string, open bool) {
	a.namespaces.setOpen(nsp, open)
	for _, s := range a.sets {
		s.touch(s.open(nsp))
	}
}

// Touch implements [adapter.Adapter].
func (a *Adapter) Touch(nsp string, rooms ...string) {
	a.whenRunning(func() {
		for _, s := range a.sets {
			if interests := s.rooms(nsp, rooms); len(interests) > 0 {
				s.touch(interests)
			}
		}
	})
}

// Confirm implements [adapter.Adapter]. The channel of the whole namespace is waited for as well, since that is where
// messages for several rooms are published.
func (a *Adapter) Confirm(nsp string, rooms []string, done func(error)) {
	a.whenRunning(func() {
		wishes := make([]wish, 0, len(a.sets))
		for _, s := range a.sets {
			wishes = append(wishes, wish{s.placement, append(s.certain(nsp), s.rooms(nsp, rooms)...)})
		}
		confirm(wishes, a.config.RequestTimeout, done)
	})
}

// State implements [adapter.Adapter]. Of several servers the worst one counts.
func (a *Adapter) State() adapter.State {
	state := adapter.State{Ready: a.peers.Announced(), Connected: true}
	for _, s := range a.sets {
		other := s.state()
		state.Ready = other.Ready && state.Ready
		state.Connected = state.Connected && other.Connected
		state.Deaf = state.Deaf || other.Deaf
	}
	return state
}

// showConnected may be called by several goroutines: the one that looks last has the last word.
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
	a.justJoining(c)
	m, err := a.dialect.command(c)
	m.done = done
	if err != nil {
		a.metrics.publishDropped[dropInvalid].Inc()
		m.finish(0, fmt.Errorf("redis: encode command: %w", err))
		return
	}
	m.done = a.traced(m, c, done)
	a.push(m)
}

// justJoining notes that sockets of other nodes are about to join rooms.
func (a *Adapter) justJoining(c adapter.Command) {
	if join, ok := c.(adapter.Join); ok {
		a.joined.Add(join.Namespace, join.Rooms...)
	}
}

// push queues a message for the server it is for.
func (a *Adapter) push(m message) { a.dialect.push(m) }
