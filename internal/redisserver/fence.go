package redisserver

import (
	"slices"
	"sync"

	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Fence is a fence of this node until its outcome is known: one message at each server concerned.
type Fence struct {
	mu sync.Mutex
	// mu guards the following.
	done  func(error) // nil once it has been called
	sent  bool        // everywhere; cuts are all there are
	cuts  []cut
	taken int             // by as many servers
	back  map[uint64]bool // lanes in which it came back
}

// cut is a fence at one server.
type cut struct {
	lane      uint64 // in which it is to come back
	placement Placement
	server    *Server
	slots     []uint16
}

// holds reports whether the server is still the one that the fence was for.
func (c *cut) holds() bool {
	return !slices.ContainsFunc(c.slots, func(slot uint16) bool { return c.placement.Owner(slot) != c.server })
}

// NewFence makes a fence. done is called once, without locks: with nil when the fence has come back from every server, in the
// lane in which this node received when it was queued, and everything queued before it was carried out before it. Else with
// the error of its queue or server, or ErrAway.
func NewFence(done func(error)) *Fence { return &Fence{done: done, back: make(map[uint64]bool)} }

// Publish queues the fence behind all that was queued so far, at each server that serves one of the slots of a wish's Lanes.
// payload makes the message for a server, whose id is told where it is known. It is called once. The lanes are those in which
// the fence comes back.
func (f *Fence) Publish(wishes []Wish, payload func(server string) []byte) (lanes []uint64) {
	for _, w := range wishes {
		if len(w.Lanes) == 0 {
			continue
		}
		ok := w.Placement.fence(w.Lanes, func(s *Server, slots []uint16) (redisqueue.Message, bool) {
			return f.message(w.Placement, s, slots, payload)
		})
		if !ok {
			f.End(adapter.ErrAway)
		}
	}
	f.mu.Lock()
	f.sent = true
	for i := range f.cuts {
		lanes = append(lanes, f.cuts[i].lane)
	}
	f.mu.Unlock()
	f.judge()
	return lanes
}

// message is the fence for one server; ok is false where it could not hold.
func (f *Fence) message(
	placement Placement, s *Server, slots []uint16, payload func(server string) []byte,
) (_ redisqueue.Message, ok bool) {
	in, lane, id, ok := s.fenceNow()
	if !ok || placement.Owner(in.Slot) != s {
		return redisqueue.Message{}, false
	}
	f.mu.Lock()
	f.cuts = append(f.cuts, cut{lane: lane, placement: placement, server: s, slots: slots})
	f.mu.Unlock()
	return redisqueue.Message{
		Channel: in.Channel, Slot: in.Slot, Payload: payload(id),
		Answered: func(_ int64, err error) {
			if _, _, now, _ := s.fenceNow(); err == nil && now != id {
				err = adapter.ErrAway // another server took it than the one that it names
			}
			f.answered(err)
		},
	}, true
}

// answered records that a server took the fence, or that it did not.
func (f *Fence) answered(err error) {
	if err != nil {
		f.End(err)
		return
	}
	f.mu.Lock()
	f.taken++
	f.mu.Unlock()
	f.judge()
}

// Returned records that the fence came back in a lane.
func (f *Fence) Returned(lane uint64) {
	f.mu.Lock()
	f.back[lane] = true
	f.mu.Unlock()
	f.judge()
}

// judge ends the fence once it is back from everywhere.
func (f *Fence) judge() {
	f.mu.Lock()
	if !f.sent || f.taken < len(f.cuts) || len(f.back) < len(f.cuts) {
		f.mu.Unlock()
		return
	}
	var err error
	for i := range f.cuts {
		if !f.back[f.cuts[i].lane] || !f.cuts[i].holds() {
			err = adapter.ErrAway
		}
	}
	f.mu.Unlock()
	f.End(err)
}

// End ends the fence unless it has ended.
func (f *Fence) End(err error) {
	f.mu.Lock()
	done := f.done
	f.done = nil
	f.mu.Unlock()
	if done != nil {
		done(err)
	}
}

func (p Single) fence(slots []uint16, message func(*Server, []uint16) (redisqueue.Message, bool)) bool {
	m, ok := message(p.server, slots)
	if ok {
		p.Push(m)
	}
	return ok
}

func (p *Slots) fence(slots []uint16, message func(*Server, []uint16) (redisqueue.Message, bool)) bool {
	p.mu.RLock()
	messages, ok := p.fencesLocked(slots, message)
	var lost redisqueue.Losses
	if ok {
		for s, m := range messages {
			lost = append(lost, s.queue.Push(m)...)
		}
	}
	p.mu.RUnlock()
	lost.Finish()
	return ok
}

func (p *Slots) fencesLocked(
	slots []uint16, message func(*Server, []uint16) (redisqueue.Message, bool),
) (messages map[*Server]redisqueue.Message, ok bool) {
	if len(p.barriers) > 0 {
		return nil, false
	}
	served := make(map[*Server][]uint16)
	for _, slot := range slots {
		s := p.Owner(slot)
		served[s] = append(served[s], slot)
	}
	messages = make(map[*Server]redisqueue.Message, len(served))
	for s, slots := range served {
		if s == nil {
			return nil, false
		}
		m, ok := message(s, slots)
		if !ok {
			return nil, false
		}
		messages[s] = m
	}
	return messages, true
}
