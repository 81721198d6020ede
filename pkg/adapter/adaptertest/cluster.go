package adaptertest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// What a receiver has not handled yet is bounded; beyond it Publish fails with ErrFull.
const maxInbox = 1 << 16

// defaultLimit ends questions and confirmations that have no limit of their own.
const defaultLimit = 5 * time.Second

// Cluster is an in-memory cluster. Make one with NewCluster.
type Cluster struct {
	// Static after construction.
	adapters []*Adapter
	echoes   bool

	places int64 // of commands, where the cluster echoes; mu guards it

	mu      sync.Mutex   // guards everything of every adapter; nothing of a Node's is called under it
	changed *sync.Cond   // on mu: some adapter has work, was resumed, or is to end
	lanes   adapter.Lane // given out
}

// NewCluster returns a cluster of n nodes, none of them running. They are named node-0 and so on.
func NewCluster(n int) *Cluster {
	c := &Cluster{}
	c.changed = sync.NewCond(&c.mu)
	for i := range n {
		c.adapters = append(c.adapters, &Adapter{
			cluster: c,
			name:    fmt.Sprintf("node-%d", i),
			open:    make(map[string]bool),
			wants:   make(map[room]bool),
			touched: make(map[room]bool),
			asking:  make(map[*question]bool),

			lane:      adapter.Lane(i + 1),
			following: make(map[string]int),
		})
	}
	c.lanes = adapter.Lane(n)
	return c
}

// NewEchoingCluster is NewCluster for nodes whose commands come back to them, in one order for all.
func NewEchoingCluster(n int) *Cluster {
	c := NewCluster(n)
	c.echoes = true
	return c
}

// placeLocked gives a command its place in the order of all.
func (c *Cluster) placeLocked(command adapter.Command) (placed adapter.Command, offset string) {
	c.places++
	offset = fmt.Sprintf("%d-%d", 1_700_000_000_000+c.places/2, c.places%2)
	if b, ok := command.(adapter.Broadcast); ok {
		b.Offset = offset
		command = b
	}
	return command, offset
}

// Adapter returns the adapter of node i.
func (c *Cluster) Adapter(i int) *Adapter { return c.adapters[i] }

// room is a room's full name.
type room struct{ nsp, name string }

// peersLocked returns the running adapters other than a that have the namespace open.
func (c *Cluster) peersLocked(a *Adapter, nsp string) []*Adapter {
	return slices.DeleteFunc(c.openLocked(nsp), func(p *Adapter) bool { return p == a })
}

// openLocked returns the running adapters that have the namespace open.
func (c *Cluster) openLocked(nsp string) []*Adapter {
	var all []*Adapter
	for _, p := range c.adapters {
		if p.running && p.open[nsp] {
			all = append(all, p)
		}
	}
	return all
}
