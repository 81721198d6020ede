package redis

// kind is what a channel is for. Rows are subscribed in the order of their kinds: peers take a node to be listening once
// its probe channel is subscribed, so the channels on which they ask come before it.
type kind uint8

const (
	kindPattern   kind = iota // own rooms of this node's sockets
	kindNamespace             // a pattern as well: everything published in a namespace
	kindBroadcast             // messages for a whole namespace, or for several rooms
	kindRequest               // requests of other nodes
	kindOwn                   // answers to this node
	kindShared                // answers that all nodes receive
	kindProbe                 // this node's own probes
	kindRoom                  // one room
)

const kinds = int(kindRoom) + 1

// interest is a channel, or pattern, and what it stands for. Two interests may have the same channel: that of room b in
// the namespace /a is also that of the namespace /a#b.
type interest struct {
	channel   string
	kind      kind
	slot      uint16 // of a sharded channel
	namespace string
	room      string
}

// rowKey names a row of the table.
type rowKey struct {
	pattern bool
	name    string
}

func (in interest) key() rowKey { return rowKey{pattern: in.kind <= kindNamespace, name: in.channel} }
