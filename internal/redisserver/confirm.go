package redisserver

import (
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Wish is what is to be certain, and where.
type Wish struct {
	Placement Placement
	Interests []redissub.Interest
	// Lanes are slots for which the lanes are to be told, and fences are to be received.
	Lanes []uint16
}

// confirmation waits until all its interests are certain at the same time: each subscribed at the server of its slot, and
// proven by a fence there. What a lost connection or a move of slots undoes before the last part is certain is waited for
// again.
type confirmation struct {
	// Static after construction.
	wishes []Wish
	timer  *time.Timer

	mu sync.Mutex
	// mu guards the following.
	done  func([]uint64, error) // nil once it has been called
	parts []*part
	left  int // parts without outcome
}

// part is what is waited for at one server.
type part struct {
	server    *Server
	placement Placement
	interests []redissub.Interest
	lanes     []uint16 // slots for which its lane is to be told
	wait      redissub.Wait
	version   uint64 // of the server's table, in which it was certain
	err       error
}

// stays reports whether the server still serves all of it.
func (p *part) stays() bool {
	for i := range p.interests {
		if p.placement.Owner(p.interests[i].Slot) != p.server {
			return false
		}
	}
	return !slices.ContainsFunc(p.lanes, func(slot uint16) bool { return p.placement.Owner(slot) != p.server })
}

// Confirm calls done once: with nil as soon as all wishes are certain, with ErrAway when that takes longer than limit or
// one is not wanted.
func Confirm(wishes []Wish, limit time.Duration, done func(error)) {
	ConfirmLanes(wishes, limit, func(_ []uint64, err error) { done(err) })
}

// ConfirmLanes is Confirm that tells the lanes that were asked for.
func ConfirmLanes(wishes []Wish, limit time.Duration, done func([]uint64, error)) {
	c := &confirmation{wishes: wishes, done: done}
	c.mu.Lock()
	c.timer = time.AfterFunc(limit, func() { c.finish(adapter.ErrAway) })
	c.mu.Unlock()
	c.attempt()
}

// attempt waits at each server. It is called without locks.
func (c *confirmation) attempt() {
	parts, homeless := c.locate()
	c.mu.Lock()
	if c.done == nil {
		c.mu.Unlock()
		return
	}
	c.parts, c.left = parts, len(parts)
	c.mu.Unlock()
	if homeless != nil {
		homeless.whenMoved(c.attempt)
		return
	}
	for _, p := range parts {
		p.wait.Done = func(version uint64, err error) { c.ended(p, version, err) }
		p.server.wait(p.interests, &p.wait)
	}
}

// locate divides the wishes by server; homeless is the placement of one that no server is known to serve.
func (c *confirmation) locate() (parts []*part, homeless Placement) {
	for _, w := range c.wishes {
		first := len(parts)
		at := func(slot uint16) *part {
			s := w.Placement.Owner(slot)
			if s == nil {
				return nil
			}
			for _, p := range parts[first:] {
				if p.server == s {
					return p
				}
			}
			p := &part{server: s, placement: w.Placement}
			parts = append(parts, p)
			return p
		}
		for _, in := range w.Interests {
			p := at(in.Slot)
			if p == nil {
				return nil, w.Placement
			}
			p.interests = append(p.interests, in)
		}
		for _, slot := range w.Lanes {
			p := at(slot)
			if p == nil {
				return nil, w.Placement
			}
			if p.lanes == nil {
				p.interests = append(p.interests, p.server.fenceInterest())
			}
			p.lanes = append(p.lanes, slot)
		}
	}
	return parts, nil
}

func (c *confirmation) ended(p *part, version uint64, err error) {
	c.mu.Lock()
	p.version, p.err = version, err
	c.left--
	last, parts := c.left == 0, c.parts
	c.mu.Unlock()
	if last {
		c.judge(parts)
	}
}

// judge decides whether the outcomes of all parts hold together.
func (c *confirmation) judge(parts []*part) {
	for _, p := range parts {
		switch stays := p.stays(); {
		case p.err != nil && stays:
			c.finish(p.err)
			return
		case !stays:
			// Its rows may have been made after the move.
			p.placement.leave(p.server)
			c.attempt()
			return
		case !p.server.certain(p.version):
			c.attempt()
			return
		}
	}
	var lanes []uint64
	for _, p := range parts {
		if p.lanes != nil {
			lanes = append(lanes, p.server.lane(p.version))
		}
	}
	c.end(lanes, nil)
}

func (c *confirmation) finish(err error) { c.end(nil, err) }

func (c *confirmation) end(lanes []uint64, err error) {
	c.mu.Lock()
	done, parts := c.done, c.parts
	c.done, c.parts = nil, nil
	c.timer.Stop()
	c.mu.Unlock()
	if done == nil {
		return
	}
	if err != nil {
		for _, p := range parts {
			p.server.giveUp(&p.wait)
		}
	}
	done(lanes, err)
}
