package redisserver

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// change makes next the routes, takes messages and interests along, and releases mu, which the caller has locked.
func (p *Slots) change(next *routes) {
	old := p.routes.Load()
	if *next == *old {
		p.mu.Unlock()
		return
	}
	counted := p.countGaps(old, next)
	p.routes.Store(next)
	lost := p.moveMessages(old, next)
	gone := p.serveLocked(next)
	p.mu.Unlock()
	lost.Finish()
	for _, s := range gone {
		p.handOver(s, true)
		if s.end != nil {
			s.end()
		}
		p.log.Info("shard gone", zap.String("address", s.address))
	}
	for _, s := range p.Servers() {
		p.handOver(s, counted[s])
	}
	p.settleHomeless()
	p.tellMoved()
	p.config.Connected()
}

// countGaps counts one gap for each server that loses slots with channels that are wanted, or all of its slots: what is
// published before they are subscribed elsewhere is missed. It is called before the routes change, because afterwards a
// confirmation may succeed at the new server, and would seem to prove that nothing was missed.
func (p *Slots) countGaps(old, next *routes) (counted map[*Server]bool) {
	counted = make(map[*Server]bool)
	for slot, s := range old {
		if s != nil && next[slot] != s {
			counted[s] = false
		}
	}
	for s := range counted {
		lost := func(slot uint16) bool { return old[slot] == s && next[slot] != s }
		if counted[s] = !slices.Contains(next[:], s) || s.wants(lost); counted[s] {
			p.config.Metrics.Resubscribes.Inc()
		}
	}
	return counted
}

// serveLocked starts the servers that serve a slot, and takes out those that serve none.
func (p *Slots) serveLocked(next *routes) (gone []*Server) {
	serving := make(map[*Server]bool)
	for _, s := range next {
		serving[s] = true
	}
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
	return gone
}

// moveMessages takes messages that wait to the new servers of their slots, behind a barrier where earlier ones are on their
// way. The caller has locked mu.
func (p *Slots) moveMessages(old, next *routes) (lost redisqueue.Losses) {
	left := make(map[*Server]bool)
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
		waiting, out := q.Extract(func(slot uint16) bool { return old[slot] == from && next[slot] != from })
		for slot := range out {
			if p.barriers[slot] == nil {
				p.barriers[slot] = from
			}
		}
		for slot := range p.barriers {
			if old[slot] != next[slot] {
				p.queueOf(slot).Hold(slot)
			}
		}
		for _, m := range waiting {
			lost = append(lost, p.queueOf(m.Slot).Push(m)...)
		}
	}
	return lost
}

// settled puts back what a server did not carry out, here or at the server that has the slot now, and opens the barriers
// behind its batch.
func (p *Slots) settled(from *Server, again []redisqueue.Message) {
	p.mu.RLock()
	plain := len(again) == 0 && len(p.barriers) == 0
	var lost redisqueue.Losses
	if plain {
		lost = from.queue.Settle(nil)
	}
	p.mu.RUnlock()
	if !plain {
		lost = p.settleMoved(from, again)
	}
	lost.Finish()
}

// settleMoved is settled when slots have moved. The barriers behind a server that has been replaced open a little later:
// it was frozen, say, and did not know yet that its replica had been promoted when it accepted the batch. It then passes
// the messages on to the replica, over the bus of the cluster, where they could arrive behind later ones.
func (p *Slots) settleMoved(from *Server, again []redisqueue.Message) redisqueue.Losses {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byAddress[from.address] == from || p.closed {
		return p.putBackLocked(from, again)
	}
	p.late[from] = append(p.late[from], again...)
	time.AfterFunc(busDelay, func() { p.settleReplaced(from) })
	return nil
}

func (p *Slots) settleReplaced(from *Server) {
	p.mu.Lock()
	again := p.late[from]
	delete(p.late, from)
	lost := p.putBackLocked(from, again)
	p.mu.Unlock()
	lost.Finish()
}

func (p *Slots) putBackLocked(from *Server, again []redisqueue.Message) (lost redisqueue.Losses) {
	var stay []redisqueue.Message
	back := make(map[uint16][]redisqueue.Message)
	for slot, at := range p.barriers {
		if at == from {
			back[slot] = nil
			delete(p.barriers, slot)
		}
	}
	for _, m := range again {
		if _, barred := back[m.Slot]; barred || p.Owner(m.Slot) != from {
			back[m.Slot] = append(back[m.Slot], m)
		} else {
			stay = append(stay, m)
		}
	}
	lost = from.queue.Settle(stay)
	for slot, messages := range back {
		lost = append(lost, p.queueOf(slot).Release(slot, messages)...)
	}
	return lost
}

// leave implements [Placement].
func (p *Slots) leave(s *Server) { p.handOver(s, false) }

// handOver brings the interests that a server does not serve any more to those that do, and sees that its probes go
// through a channel that it serves. counted: the gap has been counted.
func (p *Slots) handOver(s *Server, counted bool) {
	current := p.routes.Load()
	serves := func(slot uint16) bool { return current[slot] == s }
	released := s.release(serves)
	if slices.Contains(current[:], s) {
		if len(released) > 0 && !counted {
			p.config.Metrics.Resubscribes.Inc()
		}
		if !serves(s.probe().Slot) {
			s.setProbe(p.probeIn(serves))
		}
		p.moveFence(s, uint16(slices.Index(current[:], s)))
	}
	p.Touch(released)
}

// Touch implements [Placement]. When an interest moves meanwhile, what was recorded at its old server is released again.
func (p *Slots) Touch(interests []redissub.Interest) {
	parts := make(map[*Server][]redissub.Interest)
	for _, in := range interests {
		s := p.Owner(in.Slot)
		parts[s] = append(parts[s], in)
	}
	for s, part := range parts {
		if s == nil {
			p.shelter(part)
			continue
		}
		s.touch(part)
		if slices.ContainsFunc(part, func(in redissub.Interest) bool { return p.Owner(in.Slot) != s }) {
			p.leave(s)
			p.Touch(part)
		}
	}
}

// shelter keeps interests until servers are found for their slots.
func (p *Slots) shelter(interests []redissub.Interest) {
	p.mu.Lock()
	for _, in := range interests {
		p.homeless[in.Key()] = in
	}
	p.mu.Unlock()
	if slices.ContainsFunc(interests, func(in redissub.Interest) bool { return p.Owner(in.Slot) != nil }) {
		p.settleHomeless()
	}
}

// settleHomeless brings interests to servers that have been found for their slots.
func (p *Slots) settleHomeless() {
	p.mu.Lock()
	var found []redissub.Interest
	for key, in := range p.homeless {
		if p.Owner(in.Slot) != nil {
			found = append(found, in)
			delete(p.homeless, key)
		}
	}
	p.mu.Unlock()
	if len(found) > 0 {
		p.Touch(found)
	}
}
