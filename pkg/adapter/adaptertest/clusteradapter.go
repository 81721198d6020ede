package adaptertest

import (
	"context"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// Adapter is one node's adapter.Adapter in a Cluster. Everything that comes up to the node comes from the goroutine of
// Run.
type Adapter struct {
	cluster *Cluster // static
	name    string   // static

	delivering sync.Mutex // held while the node is handed a command; taken before cluster.mu

	// cluster.mu guards the following.
	running  bool
	ready    bool // ran at least once
	paused   bool
	open     map[string]bool // namespaces
	wants    map[room]bool   // what the cluster sends here
	touched  map[room]bool   // rooms to ask Holds for
	confirms []*confirm
	inbox    []func(adapter.Node)
	asking   map[*question]bool // questions of this node's that still wait

	lane      adapter.Lane
	fences    uint64         // published by this node
	fencesOut []*fence       // of these, those that have not come back
	following map[string]int // calls of Follow by namespace
}

var _ adapter.Adapter = (*Adapter)(nil)

// Name is the name by which Ask reports the node missing, and NodeID the same.
func (a *Adapter) Name() string { return a.name }

// NodeID is the name of the node in the cluster.
func (a *Adapter) NodeID() string { return a.name }

// Pause stops the node from handling what comes from the cluster, questions included, until Resume: to the others it is
// slow, not gone.
func (a *Adapter) Pause() { a.setPaused(true) }

// Resume ends a Pause; what came meanwhile is handled in order.
func (a *Adapter) Resume() { a.setPaused(false) }

func (a *Adapter) setPaused(paused bool) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	a.paused = paused
	a.cluster.changed.Broadcast()
}

// Open implements adapter.Adapter.
func (a *Adapter) Open(nsp string) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	a.open[nsp] = true
}

// Close implements adapter.Adapter.
func (a *Adapter) Close(nsp string) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	delete(a.open, nsp)
}

// State implements adapter.Adapter.
func (a *Adapter) State() adapter.State {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	return adapter.State{Ready: a.ready, Connected: a.running}
}

// Publish implements adapter.Adapter.
func (a *Adapter) Publish(c adapter.Command, done func(error)) {
	err := a.publish(c)
	if done != nil {
		done(err)
	}
}

func (a *Adapter) publish(c adapter.Command) error {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	if !a.running {
		return adapter.ErrAway
	}
	peers := a.cluster.peersLocked(a, adapter.NamespaceOf(c))
	for _, p := range peers {
		if len(p.inbox) >= maxInbox {
			return adapter.ErrFull
		}
	}
	offset := ""
	if a.cluster.echoes {
		c, offset = a.cluster.placeLocked(c)
		if _, ok := c.(adapter.ServerEmit); !ok && a.open[adapter.NamespaceOf(c)] {
			peers = append(peers, a)
		}
	} else if a.following[adapter.NamespaceOf(c)] > 0 && a.open[adapter.NamespaceOf(c)] && len(a.inbox) < maxInbox {
		peers = append(peers, a)
	}
	for _, p := range peers {
		if b, ok := c.(adapter.Broadcast); !ok || p.hearsLocked(b) {
			at := adapter.Arrival{Lane: p.lane, Own: p == a && !a.cluster.echoes, Offset: offset}
			p.inbox = append(p.inbox, func(n adapter.Node) { p.deliverAt(n, c, at) })
		}
	}
	a.cluster.changed.Broadcast()
	return nil
}

// Echoes implements adapter.Adapter.
func (a *Adapter) Echoes() bool { return a.cluster.echoes }

// hearsLocked reports whether the cluster sends b here.
func (a *Adapter) hearsLocked(b adapter.Broadcast) bool {
	if len(b.Target.Rooms) == 0 {
		return true
	}
	for _, name := range b.Target.Rooms {
		if a.wants[room{b.Namespace, name}] {
			return true
		}
	}
	return false
}

// Touch implements adapter.Adapter.
func (a *Adapter) Touch(nsp string, rooms ...string) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	a.touchLocked(nsp, rooms)
}

func (a *Adapter) touchLocked(nsp string, rooms []string) {
	for _, name := range rooms {
		a.touched[room{nsp, name}] = true
	}
	a.cluster.changed.Broadcast()
}

// confirm is a call of Confirm that waits; whoever takes it out of Adapter.confirms calls done.
type confirm struct {
	done  func(error)
	timer *time.Timer
}

// Confirm implements adapter.Adapter.
func (a *Adapter) Confirm(nsp string, rooms []string, done func(error)) {
	a.cluster.mu.Lock()
	if !a.running {
		a.cluster.mu.Unlock()
		done(adapter.ErrAway)
		return
	}
	defer a.cluster.mu.Unlock()
	c := &confirm{done: done}
	c.timer = time.AfterFunc(defaultLimit, func() { a.expire(c) })
	a.confirms = append(a.confirms, c)
	a.touchLocked(nsp, rooms)
}

// expire ends a confirmation that took too long.
func (a *Adapter) expire(c *confirm) {
	a.cluster.mu.Lock()
	for i := range a.confirms {
		if a.confirms[i] == c {
			a.confirms = append(a.confirms[:i:i], a.confirms[i+1:]...)
			a.cluster.mu.Unlock()
			c.done(adapter.ErrAway)
			return
		}
	}
	a.cluster.mu.Unlock()
}

// Run implements adapter.Adapter.
func (a *Adapter) Run(ctx context.Context, node adapter.Node) error {
	c := a.cluster
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()

	c.mu.Lock()
	a.running, a.ready = true, true
	for ctx.Err() == nil {
		switch {
		case a.paused:
			c.changed.Wait()
		case len(a.touched)+len(a.confirms)+len(a.inbox) > 0:
			a.work(node)
		default:
			c.changed.Wait()
		}
	}
	a.endLocked()
	confirms, fences := a.confirms, a.takeFencesLocked()
	a.confirms, a.inbox = nil, nil
	c.mu.Unlock()
	settle(confirms, adapter.ErrAway)
	loseFences(fences)
	return nil
}

// endLocked leaves the cluster: who waits for this node, and what this node waits for, is lost.
func (a *Adapter) endLocked() {
	a.running = false
	clear(a.wants)
	for _, p := range a.cluster.adapters {
		for q := range p.asking {
			q.lose(a.name)
		}
	}
	for q := range a.asking {
		for node := range q.left {
			q.lose(node)
		}
	}
}

// work handles what waits: all hints and confirmations, then one thing from the cluster. It is called with the lock
// held, and lets go of it meanwhile.
func (a *Adapter) work(node adapter.Node) {
	c := a.cluster
	touched, confirms := a.touched, a.confirms
	a.touched, a.confirms = make(map[room]bool), nil
	var next func(adapter.Node)
	if len(a.inbox) > 0 {
		next, a.inbox = a.inbox[0], a.inbox[1:]
	}
	c.mu.Unlock()
	defer c.mu.Lock()

	for r := range touched {
		touched[r] = node.Holds(r.nsp, r.name)
	}
	a.follow(touched)
	settle(confirms, nil)
	if next != nil {
		next(node)
	}
}

// follow makes the cluster send what is held here and no longer what is not.
func (a *Adapter) follow(held map[room]bool) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	for r, held := range held {
		if held {
			a.wants[r] = true
		} else {
			delete(a.wants, r)
		}
	}
}

func settle(confirms []*confirm, err error) {
	for _, c := range confirms {
		c.timer.Stop()
		c.done(err)
	}
}
