package socketio

import (
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// node is what the adapter sees of a server.
type node struct{ io *Server }

var _ adapter.Node = node{}

// Deliver applies a command from another node. In a namespace that does not exist here there is nobody it could mean.
func (v node) Deliver(c adapter.Command) (sockets int) {
	if _, ok := c.(adapter.Broadcast); ok {
		v.io.metrics.remote.Inc()
	}
	if n := v.io.lookup(adapter.NamespaceOf(c)); n != nil {
		return n.apply(c)
	}
	return 0
}

// Answer answers a query from another node, at once where nothing has to be waited for.
func (v node) Answer(q adapter.Query, reply func(adapter.Reply)) {
	switch q := q.(type) {
	case adapter.FetchSockets:
		var list adapter.Sockets
		if n := v.io.lookup(q.Namespace); n != nil {
			list = n.describe(q.Target)
		}
		reply(list)
	case adapter.AllRooms:
		var names adapter.RoomNames
		if n := v.io.lookup(q.Namespace); n != nil {
			names = n.index.AllRooms(nil)
		}
		reply(names)
	case adapter.ServerAsk:
		answer := func(args packet.Args) { reply(adapter.Acked{Args: args}) }
		if n := v.io.lookup(q.Namespace); n != nil {
			n.serverEvent(q.Args, answer)
		} else {
			answer(packet.Args{})
		}
	case adapter.BroadcastAsk:
		v.io.metrics.remote.Inc()
		if n := v.io.lookup(q.Broadcast.Namespace); n != nil {
			n.ask(&q.Broadcast, q.Timeout, reply)
		} else {
			reply(adapter.Count(0))
		}
	}
}

// Holds reports whether a socket of this node is in the room.
func (v node) Holds(nsp, room string) bool {
	n := v.io.lookup(nsp)
	return n != nil && n.index.Holds(room)
}
