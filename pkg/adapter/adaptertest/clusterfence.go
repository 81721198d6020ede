package adaptertest

import (
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// fencer is the adapter.Fencer of an Adapter. The cluster is one server, so each node has one lane at a time.
type fencer struct{ *Adapter }

// Fencer returns the adapter.Fencer of the node.
func (a *Adapter) Fencer() adapter.Fencer { return fencer{a} }

// Break has the node lose its subscription: its lane ends, and what it has not handled yet is lost.
func (a *Adapter) Break() {
	a.cluster.mu.Lock()
	a.inbox = nil
	a.cluster.lanes++
	a.lane = a.cluster.lanes
	out := a.takeFencesLocked()
	a.cluster.mu.Unlock()
	loseFences(out)
}

// takeFencesLocked returns the fences of the node that have not come back, for loseFences.
func (a *Adapter) takeFencesLocked() []*fence {
	out := a.fencesOut
	a.fencesOut = nil
	return out
}

func loseFences(out []*fence) {
	for _, f := range out {
		f.finish(adapter.ErrAway)
	}
}

// fence is one of a node's own that may not have come back.
type fence struct {
	timer *time.Timer
	done  func(error)
	once  sync.Once
}

func (f *fence) finish(err error) {
	f.once.Do(func() {
		f.timer.Stop()
		f.done(err)
	})
}

// Fence implements adapter.Fencer.
func (a fencer) Fence(nsp string, _ []string, done func(error)) (adapter.Fence, []adapter.Lane) {
	f, lanes, err := a.fence(nsp, done)
	if err != nil {
		done(err)
	}
	return f, lanes
}

func (a fencer) fence(nsp string, done func(error)) (adapter.Fence, []adapter.Lane, error) {
	c := a.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	a.fences++
	f := adapter.Fence{Node: a.name, Number: a.fences}
	lanes := []adapter.Lane{a.lane}
	if !a.running {
		return f, lanes, adapter.ErrAway
	}
	all := c.openLocked(nsp)
	if slices.ContainsFunc(all, func(p *Adapter) bool { return len(p.inbox) >= maxInbox }) {
		return f, lanes, adapter.ErrFull
	}
	out := &fence{done: done}
	out.timer = time.AfterFunc(defaultLimit, func() { out.finish(adapter.ErrAway) })
	a.fencesOut = append(a.fencesOut, out)
	for _, p := range all {
		lane := p.lane
		p.inbox = append(p.inbox, func(n adapter.Node) {
			if node, ok := n.(adapter.FenceNode); ok && p.follows(nsp) {
				node.Fenced(nsp, f, lane)
			}
			if p == a.Adapter {
				a.returned(out)
			}
		})
	}
	c.changed.Broadcast()
	return f, lanes, nil
}

// returned records that a fence has come back.
func (a fencer) returned(f *fence) {
	a.cluster.mu.Lock()
	a.fencesOut = slices.DeleteFunc(a.fencesOut, func(other *fence) bool { return other == f })
	a.cluster.mu.Unlock()
	f.finish(nil)
}

// ConfirmLanes implements adapter.Fencer.
func (a fencer) ConfirmLanes(nsp string, rooms []string, done func([]adapter.Lane, error)) {
	lane := a.current()
	a.Confirm(nsp, rooms, func(err error) {
		switch {
		case err != nil:
			done(nil, err)
		case a.current() != lane:
			done(nil, adapter.ErrAway)
		default:
			done([]adapter.Lane{lane}, nil)
		}
	})
}

func (a *Adapter) current() adapter.Lane {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	return a.lane
}

// Whole implements adapter.Fencer.
func (a fencer) Whole(lanes []adapter.Lane) bool {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	return a.running && !slices.ContainsFunc(lanes, func(l adapter.Lane) bool { return l != a.lane })
}

// Follow implements adapter.Fencer.
func (a fencer) Follow(nsp string) (stop func()) {
	change := func(by int) {
		a.cluster.mu.Lock()
		defer a.cluster.mu.Unlock()
		a.following[nsp] += by
	}
	a.delivering.Lock()
	change(1)
	a.delivering.Unlock()
	return sync.OnceFunc(func() { change(-1) })
}

func (a *Adapter) follows(nsp string) bool {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	return a.following[nsp] > 0
}

// deliverAt hands the node a command that came from the cluster.
func (a *Adapter) deliverAt(n adapter.Node, c adapter.Command, at adapter.Arrival) {
	if b, ok := c.(adapter.Broadcast); ok {
		b.Received = time.Now()
		c = b
	}
	a.delivering.Lock()
	defer a.delivering.Unlock()
	follower, ok := n.(adapter.FenceNode)
	switch ok = ok && (at.Offset != "" || a.follows(adapter.NamespaceOf(c))); {
	case ok:
		follower.DeliverAt(c, at)
	case !at.Own:
		n.Deliver(c)
	}
}
