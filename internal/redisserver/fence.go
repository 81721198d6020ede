package redisserver

import (
	"slices"
	"time"

	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// A lane is a server and a version of its table: whatever may have been missed ends a version.

// laneBits are those of the version in a lane.
const laneBits = 40

func (s *Server) lane(version uint64) uint64 { return s.number<<laneBits | version&(1<<laneBits-1) }

func (s *Server) laneLocked() uint64 { return s.lane(s.table.Version()) }

// Lane is the one in which this node receives from the server now.
func (s *Server) Lane() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.laneLocked()
}

func (s *Server) fenceInterest() redissub.Interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fence
}

func (s *Server) setFence(in redissub.Interest) {
	s.update(func() {
		now := time.Now()
		if s.fence.Channel != "" {
			s.table.Want(s.fence, false, now)
		}
		s.fence = in
		s.table.Want(in, true, now)
	})
}

// fenceIn is the channel of fences in a slot: the same on all nodes.
func (p *Slots) fenceIn(slot uint16) redissub.Interest {
	tag, _ := tagIn(func(other uint16) bool { return other == slot })
	return redissub.Interest{Channel: p.config.Fence + ":{" + tag + "}", Kind: redissub.Fence, Slot: slot}
}

// moveFence has the fences of a server come in its first slot. Nodes that know the same slots so agree on the channel.
func (p *Slots) moveFence(s *Server, first uint16) {
	if in := s.fenceInterest(); in.Channel != "" && in.Slot != first {
		s.setFence(p.fenceIn(first))
	}
}

// Cut is a fence on its way at one server.
type Cut struct {
	Lane uint64 // in which it comes back

	placement Placement
	server    *Server
	slots     []uint16
}

// Holds reports whether the server is still the one that the fence was for.
func (c *Cut) Holds() bool {
	return !slices.ContainsFunc(c.slots, func(slot uint16) bool { return c.placement.Owner(slot) != c.server })
}

// Fence queues a fence behind all that was queued so far, at each server that serves one of the slots. payload makes the message for
// a server, whose id is told where it is known; answered is called once for each cut, perhaps before Fence returns, with whether the
// server took the fence. ok is false, and nothing is queued, where a fence could not hold: no server is known for a slot, messages
// are held back because slots move, or fences are not received here.
func Fence(
	placement Placement, slots []uint16, payload func(server string) []byte, answered func(error),
) (cuts []Cut, ok bool) {
	ok = placement.fence(slots, func(s *Server, slots []uint16) (redisqueue.Message, bool) {
		in, lane, id, ok := s.fenceNow()
		if !ok || placement.Owner(in.Slot) != s {
			return redisqueue.Message{}, false
		}
		cuts = append(cuts, Cut{Lane: lane, placement: placement, server: s, slots: slots})
		return redisqueue.Message{
			Channel: in.Channel, Slot: in.Slot, Payload: payload(id),
			Answered: func(_ int64, err error) {
				if _, _, now, _ := s.fenceNow(); err == nil && now != id {
					err = adapter.ErrAway // another server took it than the one that it names
				}
				answered(err)
			},
		}, true
	})
	return cuts, ok
}

// fenceNow is the channel of fences, the lane that they come in, and the id of the server that messages go to. ok is false where
// fences do not come, or the id is to be known and is not.
func (s *Server) fenceNow() (in redissub.Interest, lane uint64, id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok = s.fence.Channel != "" && s.table.IsOn(s.fence) && (s.sendsTo != "" || !s.config.Identify)
	return s.fence, s.laneLocked(), s.sendsTo, ok
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
