package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Adapter connects a server to its cluster over Redis Pub/Sub.
type Adapter struct {
	*inbox

	// Static after construction.
	client  goredis.UniversalClient
	sets    []*set
	dialect *set     // the one of them that this node speaks in; it listens to all
	streams *streams // that dialect, where commands go through streams; else nil

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
	a := &Adapter{
		inbox: &inbox{
			config:     cfg,
			limits:     rediswire.Limits{Bytes: cfg.MaxMessage, Depth: cfg.MaxDepth + rediswire.Wrapping},
			log:        cfg.Logger,
			metrics:    m,
			refusals:   redisconn.NewRefusals(cfg.Logger, func(what string) { m.refused[what].Inc() }),
			namespaces: newNamespaces(),
			tags:       newTags(cfg.Key, cfg.Tag),
		},
		client: client,
	}
	a.peers = a.joinCluster()
	a.tag.Store(&cfg.Tag)
	if cfg.Fences {
		a.fences = &fences{adapter: a, out: make(map[uint64]*redisserver.Fence)}
	}
	if err := a.makeSets(source); err != nil {
		return nil, err
	}
	lag := func() time.Duration { return 0 }
	if a.streams != nil {
		lag = a.streams.lag
	}
	if err := registerStates(cfg.Registry, func() bool { return a.State().Deaf }, lag); err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	return a, nil
}

// makeSets makes the sets that the configuration asks for; the first is the one to speak in.
func (a *Adapter) makeSets(source redisconn.Source) error {
	servers := &redisserver.Config{
		Node:       a.config.NodeID,
		Probe:      a.config.Prefix + ":probe:" + a.config.NodeID,
		Queue:      redisqueue.Limits(a.config.Queue),
		Linger:     a.config.Linger,
		MaxMessage: a.config.MaxMessage,
		Logger:     a.log,
		Refusals:   a.refusals,
		Metrics:    a.metrics.ofServers(),
		Connected:  a.showConnected,
	}
	if a.fences != nil {
		servers.Fence = a.config.Prefix + ":fence"
		_, servers.Identify = a.client.(*goredis.ClusterClient)
	}
	if a.config.Streams != nil {
		d, err := a.newStreams()
		if err != nil {
			return err
		}
		a.streams = d
		probe := redissub.Interest{Channel: servers.Probe, Kind: redissub.Probe}
		d.cluster.push = a.add(d, redisserver.NewSingle(source, d.speech(), probe, servers))
		if d.emitted != nil {
			d.emitted.push = d.cluster.push
		}
	}
	if sharding := a.config.Sharding; sharding != nil {
		d := &sharded{inbox: a.inbox, mode: sharding.Mode.wire()}
		if cluster, ok := a.client.(*goredis.ClusterClient); ok {
			d.push = a.add(d, redisserver.NewSlots(cluster, d.speech(), servers))
		} else {
			channel := servers.Probe + ":{0}"
			probe := redissub.Interest{Channel: channel, Kind: redissub.Probe, Slot: redisconn.Slot(channel)}
			d.push = a.add(d, redisserver.NewSingle(source, d.speech(), probe, servers))
		}
	}
	if a.config.speaksClassic() || a.config.Sharding != nil && a.config.Sharding.ClassicEmitters {
		d := &classic{inbox: a.inbox, wide: a.config.Interest == InterestNamespace}
		probe := redissub.Interest{Channel: servers.Probe, Kind: redissub.Probe}
		d.push = a.add(d, redisserver.NewSingle(source, d.speech(), probe, servers))
	}
	a.dialect = a.sets[0]
	for _, s := range a.sets {
		if in, ok := s.pattern(a.config.Tag); ok && a.config.Tag != "" {
			s.Touch([]redissub.Interest{in})
		}
	}
	return nil
}

// add adds a set, and returns what publishes in it.
func (a *Adapter) add(d dialect, p redisserver.Placement) (push func(redisqueue.Message)) {
	a.sets = append(a.sets, &set{dialect: d, Placement: p, inbox: a.inbox})
	return p.Push
}

// Run implements [adapter.Adapter]. When ctx ends the node says that it leaves before it stops receiving, or others would
// take it for cut off. What waits to be published then still has a second to leave.
func (a *Adapter) Run(ctx context.Context, node adapter.Node) error {
	a.start(node)
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, s := range a.sets {
		group.Go(func() { s.Run(connected) })
	}
	if a.streams != nil {
		a.streams.run(connected, &group)
	}
	a.peers.Run(ctx)
	disconnect()
	group.Wait()
	a.questions.Close()
	if a.fences != nil {
		a.fences.close()
	}
	return nil
}

// start does what was asked for before there was a node.
func (a *Adapter) start(node adapter.Node) {
	a.node = node
	a.follower, _ = node.(adapter.FenceNode)
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
		s.Touch(s.open(nsp))
	}
}

// Touch implements [adapter.Adapter].
func (a *Adapter) Touch(nsp string, rooms ...string) {
	a.whenRunning(func() {
		for _, s := range a.sets {
			if interests := s.rooms(nsp, rooms); len(interests) > 0 {
				s.Touch(interests)
			}
		}
	})
}

// Confirm implements [adapter.Adapter]. The channel of the whole namespace is waited for as well, since that is where
// messages for several rooms are published.
func (a *Adapter) Confirm(nsp string, rooms []string, done func(error)) {
	a.whenRunning(func() {
		wishes := a.wishes(nsp, rooms, false)
		subscribed := func(err error) {
			if err != nil || len(wishes) == 0 {
				done(err)
				return
			}
			redisserver.Confirm(wishes, a.config.RequestTimeout, done)
		}
		if a.streams != nil {
			a.streams.log(nsp).WhenPositioned(a.config.RequestTimeout, subscribed)
		} else {
			subscribed(nil)
		}
	})
}

// wishes are what is to be certain; lanes: their lanes are to be told, too.
func (a *Adapter) wishes(nsp string, rooms []string, lanes bool) []redisserver.Wish {
	wishes := make([]redisserver.Wish, 0, len(a.sets))
	for _, s := range a.sets {
		w := redisserver.Wish{Placement: s.Placement, Interests: append(s.certain(nsp), s.rooms(nsp, rooms)...)}
		if lanes {
			w.Lanes = s.order(nsp, rooms)
		}
		if len(w.Interests) > 0 {
			wishes = append(wishes, w)
		}
	}
	return wishes
}

// State implements [adapter.Adapter]. Of several servers the worst one counts.
func (a *Adapter) State() adapter.State {
	state := adapter.State{Ready: a.peers.Announced(), Connected: true}
	add := func(other adapter.State) {
		state.Ready = other.Ready && state.Ready
		state.Connected = state.Connected && other.Connected
		state.Deaf = state.Deaf || other.Deaf
	}
	for _, s := range a.sets {
		add(s.state())
	}
	if a.streams != nil {
		add(a.streams.state())
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
	if a.streams != nil {
		a.invalid(a.streams.appendCommand(c, done), done)
		return
	}
	a.justJoining(c)
	m, err := a.dialect.command(c)
	if a.invalid(err, done) {
		return
	}
	m.Done = a.traced(m, c, done)
	a.dialect.Push(m)
}

// Echoes implements [adapter.Adapter]: streams keep one order for all nodes, channels none.
func (a *Adapter) Echoes() bool { return a.streams != nil }

// invalid finishes a command that cannot be encoded, and reports whether there was an error.
func (a *Adapter) invalid(err error, done func(error)) bool {
	if err == nil {
		return false
	}
	a.metrics.publishDropped[dropInvalid].Inc()
	m := redisqueue.Message{Done: done}
	m.Finish(0, fmt.Errorf("redis: encode command: %w", err))
	return true
}

// justJoining notes that sockets of other nodes are about to join rooms.
func (a *Adapter) justJoining(c adapter.Command) {
	if join, ok := c.(adapter.Join); ok {
		a.joined.Add(join.Namespace, join.Rooms...)
	}
}
