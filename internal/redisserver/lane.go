package redisserver

import (
	"time"

	"github.com/carillon-io/carillon/internal/redissub"
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

// fenceNow is the channel of fences, the lane that they come in, and the id of the server that messages go to. ok is false where
// fences do not come, or the id is to be known and is not.
func (s *Server) fenceNow() (in redissub.Interest, lane uint64, id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok = s.fence.Channel != "" && s.table.IsOn(s.fence) && (s.sendsTo != "" || !s.config.Identify)
	return s.fence, s.laneLocked(), s.sendsTo, ok
}
