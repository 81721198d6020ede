package redis

import "github.com/carillon-io/carillon/internal/rediswire"

// kind is what a channel is for. The kinds that come first are subscribed first. To others a node hears once it has its
// probe channel, which therefore comes after those that they ask on.
type kind uint8

const (
	kindPattern   kind = iota // own rooms of this node's sockets
	kindBroadcast             // everybody in a namespace
	kindRequest               // requests of other nodes
	kindOwn                   // answers to this node
	kindShared                // answers that all nodes hear
	kindProbe                 // this node's own probes
	kindRoom                  // one room
)

const kinds = int(kindRoom) + 1

// interest is a channel and what it stands for.
type interest struct {
	channel   string // or pattern
	kind      kind
	slot      uint16 // of a sharded channel
	namespace string
	room      string
}

// naming knows what the channels of this node are called.
type naming struct {
	key, nodeID string
	tags        *tags
}

func (n naming) pattern(tag string) interest {
	return interest{channel: rediswire.NodePattern(n.key, tag), kind: kindPattern}
}

func (n naming) broadcast(nsp string) interest {
	return interest{channel: rediswire.BroadcastChannel(n.key, nsp), kind: kindBroadcast, namespace: nsp}
}

func (n naming) request(nsp string) interest {
	return interest{channel: rediswire.RequestChannel(n.key, nsp), kind: kindRequest, namespace: nsp}
}

func (n naming) own(nsp string) interest {
	return interest{channel: rediswire.OwnResponseChannel(n.key, nsp, n.nodeID), kind: kindOwn, namespace: nsp}
}

func (n naming) shared(nsp string) interest {
	return interest{channel: rediswire.ResponseChannel(n.key, nsp), kind: kindShared, namespace: nsp}
}

// room is what must be subscribed for a room to be heard: its channel, or the pattern where that covers it. A
// covered channel is never subscribed as well, or its messages would come twice.
func (n naming) room(nsp, room string) interest {
	name := rediswire.RoomChannel(n.key, nsp, room)
	if tag := n.tags.covers(name); tag != "" {
		return n.pattern(tag)
	}
	return interest{channel: name, kind: kindRoom, namespace: nsp, room: room}
}
