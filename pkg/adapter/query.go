package adapter

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Query is a question to the other nodes: FetchSockets, CountSockets, ListSockets, Perform, AllRooms, ServerAsk or
// BroadcastAsk. Queries and replies are immutable once made.
type Query interface{ query() }

// FetchSockets asks for the matching sockets; answered once by Sockets.
type FetchSockets struct {
	Namespace string
	Target    rooms.Target
}

// CountSockets asks how many sockets are in any of the rooms, or in the namespace when there are no rooms; answered once
// by Counted.
type CountSockets struct {
	Namespace string
	Rooms     []string
}

// ListSockets asks one node for a page of its matching sockets: in the order of their ids, those whose id is greater than
// After, at most Limit of them. It is answered once by Sockets. A node that is not in the cluster is missing at once. With
// an empty Node it asks the servers that do not tell their names, Node's, which answer with all their matching sockets.
type ListSockets struct {
	Namespace string
	Target    rooms.Target
	Node      string
	After     string
	Limit     int
}

// Perform has the other nodes carry out a Join, Leave or Disconnect and say so; answered once by Counted, with the number
// of sockets there, when the command is done: after a Join, when every later publish to the rooms is certain to reach
// those sockets. A node that cannot be certain does not answer. Node's servers obey and do not answer, and are not waited
// for.
type Perform struct{ Command Command }

// AllRooms asks for the names of all rooms, sockets' own rooms included; answered once by RoomNames.
type AllRooms struct{ Namespace string }

// ServerAsk is a ServerEmit with an acknowledgement; answered once by Acked, at once with an empty one where nobody
// handles the event.
type ServerAsk struct {
	Namespace string
	Args      packet.Args // event name first
}

// BroadcastAsk is a broadcast that each recipient acknowledges: answered once by Count, with the number of recipients
// there (zero included), and then by one Acked for each client that acknowledges within Timeout. The broadcast is not
// embedded: a query must not pass for a command.
type BroadcastAsk struct {
	Broadcast Broadcast
	Timeout   time.Duration
}

// Reply is one answer, or part of one: Sockets, Counted, RoomNames, Count or Acked.
type Reply interface{ reply() }

// Sockets answers FetchSockets.
type Sockets []SocketInfo

// RoomNames answers AllRooms.
type RoomNames []string

// Count announces how many Acked replies can follow.
type Count int

// Counted answers CountSockets and Perform.
type Counted struct {
	// Node is the name of the node that answers. The adapter of the node that asked sets it; it is empty where the
	// answering server does not tell its name.
	Node    string
	Sockets int
}

// Acked carries the arguments of one acknowledgement; Node's servers hand on only the first.
type Acked struct{ Args packet.Args }

// SocketInfo describes a socket of any node, in the field names of Node's adapters. The JSON members are as the owning
// node sent them.
type SocketInfo struct {
	ID        string
	Handshake []byte // JSON object
	Rooms     []string
	Data      []byte // JSON value
}

func (FetchSockets) query() {}
func (CountSockets) query() {}
func (ListSockets) query()  {}
func (Perform) query()      {}
func (AllRooms) query()     {}
func (ServerAsk) query()    {}
func (BroadcastAsk) query() {}

func (Sockets) reply()   {}
func (Counted) reply()   {}
func (RoomNames) reply() {}
func (Count) reply()     {}
func (Acked) reply()     {}

// NamespaceOfQuery returns the namespace a query is for.
func NamespaceOfQuery(q Query) string {
	switch q := q.(type) {
	case FetchSockets:
		return q.Namespace
	case CountSockets:
		return q.Namespace
	case ListSockets:
		return q.Namespace
	case Perform:
		return NamespaceOf(q.Command)
	case AllRooms:
		return q.Namespace
	case ServerAsk:
		return q.Namespace
	case BroadcastAsk:
		return q.Broadcast.Namespace
	}
	panic(fmt.Sprintf("adapter: no such query: %T", q))
}
