package redis

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/rediswire"
)

// reloadInterval spaces the attempts to load the map of slots while some master cannot be reached.
const reloadInterval = 300 * time.Millisecond

// checkInterval spaces them while all is well. A master that was frozen and comes back as a replica serves subscriptions
// as before, and nothing tells that it was replaced and that messages were missed meanwhile.
const checkInterval = 10 * time.Second

// slots is the placement by hash slot on a Redis Cluster, whose masters come and go. Masters tell when that changes, by
// ending subscriptions and by refusing commands, and the refusal says whom to ask.
type slots struct {
	// Static after construction.
	env       *env
	speech    *speech
	log       *zap.Logger
	topology  redisconn.Topology // owned by watch
	nowhere   *queue             // of messages for slots that no server is known to serve
	connected func()             // that of some server has changed
	stale     chan struct{}      // the map of slots may have changed; never closed
	group     sync.WaitGroup

	routes atomic.Pointer[routes]

	// mu is held for reading while a message is brought to the server of its slot, so that none gets to a server after
	// its slot was taken away. Nothing else is called with it.
	mu sync.RWMutex
	// mu guards the following.
	ctx       context.Context  // of run; nil before
	options   *goredis.Options // to connect to any master
	byAddress map[string]*server
	// barriers are slots that have moved while a message was on its way at their old server: the new one holds later
	// messages back until that has been settled.
	barriers map[uint16]*server
	homeless map[rowKey]interest // in slots that no server is known to serve
	waiting  []func()            // for slots to move
	closed   bool
}

// routes tell which server serves each slot; nil is none known. A table of routes never changes.
type routes [redisconn.Slots]*server

func newSlots(client *goredis.ClusterClient, sp *speech, e *env, connected func()) *slots {
	p := &slots{
		env:       e,
		speech:    sp,
		log:       e.config.Logger,
		topology:  redisconn.Topology{Client: client},
		nowhere:   newQueue(e.config.Queue, e.metrics),
		connected: connected,
		stale:     make(chan struct{}, 1),
		byAddress: make(map[string]*server),
		barriers:  make(map[uint16]*server),
		homeless:  make(map[rowKey]interest),
	}
	p.routes.Store(new(routes))
	return p
}

func (p *slots) owner(slot uint16) *server { return p.routes.Load()[slot] }

// queueOf is where the messages of a slot wait.
func (p *slots) queueOf(slot uint16) *queue {
	if s := p.owner(slot); s != nil {
		return s.queue
	}
	return p.nowhere
}

func (p *slots) push(m message) {
	p.mu.RLock()
	q := p.queueOf(m.slot)
	d := q.push(m)
	p.mu.RUnlock()
	q.drop(d)
}

func (p *slots) servers() []*server {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*server, 0, len(p.byAddress))
	for _, s := range p.byAddress {
		all = append(all, s)
	}
	return all
}

// run serves until ctx ends.
func (p *slots) run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	p.watch(ctx)
	p.group.Wait()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tellMoved()
	p.nowhere.close()
}

// watch loads the map of slots at the start, every checkInterval, and whenever something is wrong. It waits a little each
// time, so that the masters have told one another.
func (p *slots) watch(ctx context.Context) {
	for ctx.Err() == nil {
		ranges, options, err := p.topology.Load(ctx)
		if err == nil {
			p.apply(ranges, options)
		} else if ctx.Err() == nil {
			p.log.Debug("cluster cannot be asked", zap.Error(err))
		}
		if err == nil && !slices.ContainsFunc(p.servers(), func(s *server) bool { return !s.connected.Load() }) {
			select {
			case <-ctx.Done():
			case <-p.stale:
			case <-time.After(checkInterval):
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadInterval):
		}
	}
}

// apply records a map of slots. Those that it does not name stay where they are.
func (p *slots) apply(ranges []redisconn.Range, options *goredis.Options) {
	p.mu.Lock()
	p.options = options
	next := *p.routes.Load()
	for _, r := range ranges {
		s := p.serverLocked(r.Address, uint16(r.First))
		for slot := r.First; slot <= r.Last; slot++ {
			next[slot] = s
		}
	}
	p.change(&next)
}

// moved records that a server named another one for a slot. Others may have moved as well.
func (p *slots) moved(from *server, slot uint16, address string) bool {
	if address == from.address {
		return false
	}
	p.mu.Lock()
	if owner := p.owner(slot); owner != nil && owner.address == address {
		p.mu.Unlock()
		return true
	}
	next := *p.routes.Load()
	next[slot] = p.serverLocked(address, slot)
	p.change(&next)
	wakeUp(p.stale)
	return true
}

// serverLocked is the server at an address, made if need be. It is to serve the slot.
func (p *slots) serverLocked(address string, slot uint16) *server {
	s := p.byAddress[address]
	if s == nil {
		probe := probeIn(&p.env.config, func(other uint16) bool { return other == slot })
		s = newServer(address, redisconn.At(p.options, address), p.speech, true, probe, p.env, events{
			connected: p.connected,
			trouble:   func() { wakeUp(p.stale) },
			moved:     p.moved,
			settled:   p.settled,
		})
		p.byAddress[address] = s
		p.log.Info("shard found", zap.String("address", address))
	}
	return s
}

// change makes next the routes, takes messages and interests along, and releases mu, which the caller has locked.
func (p *slots) change(next *routes) {
	old := p.routes.Load()
	if *next == *old {
		p.mu.Unlock()
		return
	}
	p.routes.Store(next)
	lost := p.moveMessages(old, next)
	serving := make(map[*server]bool)
	for _, s := range next {
		serving[s] = true
	}
	var gone []*server
	for address, s := range p.byAddress {
		switch {
		case !serving[s]:
			delete(p.byAddress, address)
			gone = append(gone, s)
		case s.end == nil && p.ctx.Err() == nil:
			ctx, end := context.WithCancel(p.ctx)
			s.end = end
			p.group.Go(func() { s.run(ctx) })
		}
	}
	p.mu.Unlock()
	lost.drop()
	for _, s := range gone {
		p.env.metrics.resubscribes.Inc()
		p.leave(s)
		if s.end != nil {
			s.end()
		}
		p.log.Info("shard gone", zap.String("address", s.address))
	}
	for _, s := range p.servers() {
		p.leave(s)
	}
	p.settleHomeless()
	p.tellMoved()
	p.connected()
}

// moveMessages takes those that wait to the new servers of their slots, behind a barrier where earlier ones are out. The
// caller has locked mu, and drops what is returned without it.
func (p *slots) moveMessages(old, next *routes) (lost losses) {
	left := make(map[*server]bool)
	for slot := range old {
		if old[slot] != next[slot] {
			left[old[slot]] = true
		}
	}
	for from := range left {
		q := p.nowhere
		if from != nil {
			q = from.queue
		}
		waiting, out := q.extract(func(slot uint16) bool { return old[slot] == from && next[slot] != from })
		for slot := range out {
			if p.barriers[slot] == nil {
				p.barriers[slot] = from
			}
		}
		for slot := range p.barriers {
			if old[slot] != next[slot] {
				p.queueOf(slot).hold(slot)
			}
		}
		for _, m := range waiting {
			to := p.queueOf(m.slot)
			lost.add(to, to.add(m))
		}
	}
	return lost
}

// losses are messages that have to go because of a move.
type losses []func()

func (l *losses) add(q *queue, d dropped) {
	if len(d.messages) > 0 {
		*l = append(*l, func() { q.drop(d) })
	}
}

func (l losses) drop() {
	for _, f := range l {
		f()
	}
}

// settled puts back what a server did not carry out, here or at the server that has the slot now, and opens the barriers
// behind its batch.
func (p *slots) settled(from *server, again []message) {
	p.mu.RLock()
	if len(again) == 0 && len(p.barriers) == 0 {
		d := from.queue.settle(nil)
		p.mu.RUnlock()
		from.queue.drop(d)
		return
	}
	p.mu.RUnlock()
	p.mu.Lock()
	var stay []message
	var lost losses
	back := make(map[uint16][]message)
	for slot, at := range p.barriers {
		if at == from {
			back[slot] = nil
			delete(p.barriers, slot)
		}
	}
	for _, m := range again {
		if _, barred := back[m.slot]; barred || p.owner(m.slot) != from {
			back[m.slot] = append(back[m.slot], m)
		} else {
			stay = append(stay, m)
		}
	}
	lost.add(from.queue, from.queue.settle(stay))
	for slot, messages := range back {
		q := p.queueOf(slot)
		lost.add(q, q.release(slot, messages))
	}
	p.mu.Unlock()
	lost.drop()
}

// leave hands what a server does not serve any more to those that do, and sees that its probes go through a channel that
// it serves.
func (p *slots) leave(s *server) {
	current := p.routes.Load()
	serves := func(slot uint16) bool { return current[slot] == s }
	released := s.release(serves)
	// What is published before they are subscribed elsewhere is missed. A server that is gone was counted as such.
	if len(released) > 0 && slices.Contains(current[:], s) {
		p.env.metrics.resubscribes.Inc()
	}
	if !serves(s.currentProbe().slot) && slices.Contains(current[:], s) {
		s.setProbe(probeIn(&p.env.config, serves))
	}
	p.touch(released)
}

// touch brings interests to the servers of their slots. When one moves meanwhile, what was recorded at its old server is
// released again.
func (p *slots) touch(interests []interest) {
	parts := make(map[*server][]interest)
	for _, in := range interests {
		s := p.owner(in.slot)
		parts[s] = append(parts[s], in)
	}
	for s, part := range parts {
		if s == nil {
			p.mu.Lock()
			for _, in := range part {
				p.homeless[in.key()] = in
			}
			p.mu.Unlock()
			if slices.ContainsFunc(part, func(in interest) bool { return p.owner(in.slot) != nil }) {
				p.settleHomeless()
			}
			continue
		}
		s.touch(part)
		if slices.ContainsFunc(part, func(in interest) bool { return p.owner(in.slot) != s }) {
			p.leave(s)
			p.touch(part)
		}
	}
}

// settleHomeless brings interests to servers that have been found for their slots.
func (p *slots) settleHomeless() {
	p.mu.Lock()
	var found []interest
	for key, in := range p.homeless {
		if p.owner(in.slot) != nil {
			found = append(found, in)
			delete(p.homeless, key)
		}
	}
	p.mu.Unlock()
	if len(found) > 0 {
		p.touch(found)
	}
}

func (p *slots) whenMoved(f func()) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.waiting = append(p.waiting, f)
	}
	p.mu.Unlock()
	if closed {
		f()
	}
}

func (p *slots) tellMoved() {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

// probeIn finds a name for the channel of this node's probes in one of the slots that serves accepts. There must be one.
func probeIn(cfg *Config, serves func(slot uint16) bool) interest {
	for i := 0; ; i++ {
		tag := strconv.Itoa(i)
		if slot := rediswire.Slot(tag); serves(slot) {
			return interest{channel: cfg.Prefix + ":probe:" + cfg.NodeID + ":{" + tag + "}", kind: kindProbe, slot: slot}
		}
	}
}
