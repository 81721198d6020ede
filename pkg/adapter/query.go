package adapter

import (
	"time"

	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Query is a question to the other nodes: FetchSockets, AllRooms, ServerAsk or BroadcastAsk. Queries and replies are
// immutable once made.
type Query interface{ query() }

// FetchSockets asks for the matching sockets; answered once by Sockets.
type FetchSockets struct {
	Namespace string
	Target    rooms.Target
}

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

// Reply is one answer, or part of one: Sockets, RoomNames, Count or Acked.
type Reply interface{ reply() }

// Sockets answers FetchSockets.
type Sockets []SocketInfo

// RoomNames answers AllRooms.
type RoomNames []string

// Count announces how many Acked replies can follow.
type Count int

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
func (AllRooms) query()     {}
func (ServerAsk) query()    {}
func (BroadcastAsk) query() {}

func (Sockets) reply()   {}
func (RoomNames) reply() {}
func (Count) reply()     {}
func (Acked) reply()     {}
