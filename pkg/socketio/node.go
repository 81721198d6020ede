package socketio

import (
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// node is a server as its adapter sees it.
type node struct{ io *Server }

var (
	_ adapter.FenceNode = node{}
	_ adapter.HoleNode  = node{}
)

// Deliver applies a command from another node. In a namespace that does not exist here it means no socket.
func (v node) Deliver(c adapter.Command) (sockets int) {
	if _, ok := c.(adapter.Broadcast); ok {
		v.io.tally.Remote.Inc()
	}
	if n := v.io.lookup(adapter.NamespaceOf(c)); n != nil {
		return n.hub.Apply(c)
	}
	return 0
}

// Answer answers a query from another node, at once where nothing has to be waited for.
func (v node) Answer(q adapter.Query, reply func(adapter.Reply)) {
	if _, ok := q.(adapter.BroadcastAsk); ok {
		v.io.tally.Remote.Inc()
	}
	var h *hub.Hub // nil answers for a namespace that does not exist here
	if n := v.io.lookup(adapter.NamespaceOfQuery(q)); n != nil {
		h = n.hub
	}
	h.Answer(q, reply)
}

// Holds reports whether a socket of this node is in the room.
func (v node) Holds(nsp, room string) bool {
	n := v.io.lookup(nsp)
	return n != nil && n.hub.Holds(room)
}

// DeliverAt is Deliver for a namespace that is followed: this node's own commands come, too, and are only noted.
func (v node) DeliverAt(c adapter.Command, at adapter.Arrival) (sockets int) {
	if _, ok := c.(adapter.Broadcast); ok && !at.Own {
		v.io.tally.Remote.Inc()
	}
	if n := v.io.lookup(adapter.NamespaceOf(c)); n != nil {
		return n.hub.Arrive(c, at)
	}
	return 0
}

// Missed has no client recovered that was here when this node may have missed an event for it.
func (v node) Missed(nsp string) {
	if n := v.io.lookup(nsp); n != nil {
		n.hub.Missed()
	}
}

// Fenced notes a fence in its place.
func (v node) Fenced(nsp string, f adapter.Fence, lane adapter.Lane) {
	if n := v.io.lookup(nsp); n != nil {
		n.hub.Fenced(f, lane)
	}
}
