package adapter

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Command is something the nodes of a cluster do for one another: Broadcast, Join, Leave, Disconnect or ServerEmit.
// Commands are immutable once made, and so is all they refer to: every receiver may keep them.
type Command interface{ command() }

// Broadcast sends an event to every matching socket.
type Broadcast struct {
	Namespace string
	Args      packet.Args // event name first
	Target    rooms.Target
	Volatile  bool
	// NoCompress is Node's compress(false): the event leaves uncompressed.
	NoCompress bool
	// TraceParent is the W3C trace context of what made this node send it; empty: none. It stays here.
	TraceParent string
	// Received is when the message came in from the cluster; zero for a broadcast made here.
	Received time.Time
	// Offset is the broadcast's place in the order of an adapter that echoes, by which clients name it: the id of an entry of a
	// Redis Stream, two decimal numbers with a dash between them, ascending. The adapter sets it; empty where there is none.
	Offset string
}

// Join makes every matching socket join Rooms.
type Join struct {
	Namespace string
	Target    rooms.Target
	Rooms     []string
}

// Leave makes every matching socket leave Rooms.
type Leave struct {
	Namespace string
	Target    rooms.Target
	Rooms     []string
}

// Disconnect disconnects every matching socket from the namespace, and its whole connection when Close is set.
type Disconnect struct {
	Namespace string
	Target    rooms.Target
	Close     bool
}

// ServerEmit hands an event to the servers of the other nodes, not to clients.
type ServerEmit struct {
	Namespace string
	Args      packet.Args // event name first
}

func (Broadcast) command()  {}
func (Join) command()       {}
func (Leave) command()      {}
func (Disconnect) command() {}
func (ServerEmit) command() {}

// NamespaceOf returns the namespace a command is for.
func NamespaceOf(c Command) string {
	switch c := c.(type) {
	case Broadcast:
		return c.Namespace
	case Join:
		return c.Namespace
	case Leave:
		return c.Namespace
	case Disconnect:
		return c.Namespace
	case ServerEmit:
		return c.Namespace
	}
	panic(fmt.Sprintf("adapter: no such command: %T", c))
}
