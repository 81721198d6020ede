package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// reloadInterval spaces the attempts to find out who serves what while some master cannot be reached.
const reloadInterval = 300 * time.Millisecond

// checkInterval spaces them while all is well. A master that was frozen and comes back as a replica serves subscriptions
// as before: nobody tells that it was replaced, and that messages were missed meanwhile.
const checkInterval = 10 * time.Second

// shards are the masters that serve the sharded channels: the one there is, or those of a Redis Cluster, as they come
// and go. Each channel is subscribed and published at the master that serves its slot. Masters tell when that changes,
// by ending subscriptions and by refusing commands, and the refusal says whom to ask.
type shards struct {
	// Static after construction.
	adapter  *Adapter
	client   *goredis.Client // of the one master; nil on a cluster
	topology *topology       // of a cluster; nil where there is one master
	queue    *queue
	stale    chan struct{} // who serves what may have changed; never closed
	group    sync.WaitGroup
	ready    atomic.Bool // all shards were proven once
	routes   atomic.Pointer[routes]

	mu sync.Mutex
	// mu guards the following. It may be held while a subscriber's is taken, not the other way round.
	byAddress map[string]*shard
	ctx       context.Context     // of Run; nil before
	options   *goredis.Options    // to connect to any master of a cluster
	homeless  map[string]interest // in slots that nobody is known to serve
	waiting   []*confirmation     // for such slots
	closed    bool
}

func newShards(a *Adapter, client goredis.UniversalClient) (*shards, error) {
	s := &shards{
		adapter:   a,
		stale:     make(chan struct{}, 1),
		byAddress: make(map[string]*shard),
		homeless:  make(map[string]interest),
	}
	switch c := client.(type) {
	case *goredis.Client:
		s.client = c
	case *goredis.ClusterClient:
		s.topology = &topology{client: c}
	default:
		return nil, fmt.Errorf("redis: clients of type %T are not supported", client)
	}
	s.routes.Store(new(routes))
	s.queue = newQueue(a.config.Queue, a.metrics, s.lane)
	return s, nil
}

func (s *shards) owner(slot uint16) *shard { return s.routes.Load()[slot] }

func (s *shards) lane(slot uint16) *lane {
	if sh := s.owner(slot); sh != nil {
		return sh.lane
	}
	return nil
}

// run serves until ctx ends.
func (s *shards) run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	if s.topology == nil {
		options := *s.client.Options()
		s.apply([]slotRange{{last: rediswire.Slots - 1, address: options.Addr}}, &options)
	} else {
		s.group.Go(func() { s.watch(ctx) })
	}
	<-ctx.Done()
	s.group.Wait()
	s.mu.Lock()
	s.closed = true
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, c := range waiting {
		c.end(adapter.ErrAway)
	}
	s.queue.close()
}

// watch finds out who serves what, at first, now and then, and whenever something is wrong. It waits a little each time, for the news
// to have come round among the masters.
func (s *shards) watch(ctx context.Context) {
	for ctx.Err() == nil {
		ranges, options, err := s.topology.load(ctx)
		if err == nil {
			s.apply(ranges, options)
		} else if ctx.Err() == nil {
			s.adapter.log.Debug("cluster cannot be asked", zap.Error(err))
		}
		if err == nil && s.connected() {
			select {
			case <-ctx.Done():
			case <-s.stale:
			case <-time.After(checkInterval):
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadInterval):
		}
	}
}

func (s *shards) trouble() {
	select {
	case s.stale <- struct{}{}:
	default:
	}
}

// apply takes in who serves what. Slots that nobody is said to serve stay where they are.
func (s *shards) apply(ranges []slotRange, options *goredis.Options) {
	s.mu.Lock()
	s.options = options
	old := s.routes.Load()
	next := *old
	for _, r := range ranges {
		if r.first < 0 || r.first > r.last || r.last >= rediswire.Slots {
			continue
		}
		sh := s.shardLocked(r.address, uint16(r.first))
		for slot := r.first; slot <= r.last; slot++ {
			next[slot] = sh
		}
	}
	changed := next != *old
	if changed {
		s.switchLocked(&next)
	}
	s.mu.Unlock()
	if changed {
		s.rehome()
	}
}

// move takes in that another master serves a slot. Others may have moved as well.
func (s *shards) move(slot uint16, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.routes.Load()
	if sh := s.shardLocked(address, slot); old[slot] != sh {
		next := *old
		next[slot] = sh
		s.switchLocked(&next)
		s.trouble()
	}
}

// shardLocked is the shard at an address, made if need be. It is to serve the slot.
func (s *shards) shardLocked(address string, slot uint16) *shard {
	sh := s.byAddress[address]
	if sh == nil {
		options := *s.options
		options.Addr = address
		sh = newShard(s, address, slot, func(context.Context) (*goredis.Options, error) {
			o := options
			return &o, nil
		})
		s.byAddress[address] = sh
		s.adapter.log.Info("shard found", zap.String("address", address))
	}
	return sh
}

// switchLocked makes next the routes. Shards that serve something run, and probe where they serve.
func (s *shards) switchLocked(next *routes) {
	s.routes.Store(next)
	for _, sh := range s.byAddress {
		if next.owns(sh) {
			sh.probeHere()
			if sh.end == nil {
				sh.start(s.ctx)
			}
		}
		sh.lane.wakeUp()
	}
}

// rehome lets go of shards that serve nothing any more, and hands what shards do not serve to those that do.
func (s *shards) rehome() {
	s.mu.Lock()
	current := s.routes.Load()
	var moved []interest
	for address, sh := range s.byAddress {
		if !current.owns(sh) {
			delete(s.byAddress, address)
			sh.end()
			s.adapter.metrics.resubscribes.Inc()
			s.adapter.log.Info("shard gone", zap.String("address", address))
		}
		moved = append(moved, sh.subscriber.unserved()...)
	}
	for _, in := range s.homeless {
		moved = append(moved, in)
	}
	clear(s.homeless)
	s.hintLocked(moved)
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	s.adapter.showConnected()
	for _, c := range waiting {
		c.attempt()
	}
}

// hint tells that somebody may want channels more or less than before.
func (s *shards) hint(interests ...interest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hintLocked(interests)
}

func (s *shards) hintLocked(interests []interest) {
	for _, in := range interests {
		if in.kind == kindProbe {
			continue
		}
		if sh := s.owner(in.slot); sh != nil {
			sh.subscriber.hint(in)
		} else if !s.closed {
			s.homeless[in.channel] = in
		}
	}
}

// all calls f for every shard, and reports whether there are any and all agree.
func (s *shards) all(f func(*shard) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.byAddress {
		if !f(sh) {
			return false
		}
	}
	return len(s.byAddress) > 0
}

func (s *shards) connected() bool {
	return s.all(func(sh *shard) bool { return sh.publisher.connected.Load() })
}

// isReady reports whether all shards have been proven, once at the same time.
func (s *shards) isReady() bool {
	if !s.ready.Load() && s.all(func(sh *shard) bool { return sh.watchdog.ready.Load() }) {
		s.ready.Store(true)
	}
	return s.ready.Load()
}

func (s *shards) deaf() bool {
	return !s.all(func(sh *shard) bool { return !sh.watchdog.deaf.Load() || !sh.publisher.connected.Load() })
}

// probes are the channels of this node's probes at the shards that have been proven.
func (s *shards) probes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var channels []string
	for _, sh := range s.byAddress {
		if sh.watchdog.ready.Load() {
			channels = append(channels, sh.subscriber.currentProbe().channel)
		}
	}
	slices.Sort(channels)
	return channels
}

func (s *shards) isOn(in interest) bool {
	sh := s.owner(in.slot)
	return sh != nil && sh.subscriber.isOn(in)
}
