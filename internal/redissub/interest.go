package redissub

// Kind is what a channel is for. Rows are subscribed in the order of their kinds: peers take a node to be listening once
// its probe channel is subscribed, so the channels on which they ask come before it.
type Kind uint8

// The kinds.
const (
	Pattern   Kind = iota // own rooms of this node's sockets
	Namespace             // a pattern as well: everything published in a namespace
	Broadcast             // messages for a whole namespace, or for several rooms
	Request               // requests of other nodes
	Own                   // answers to this node
	Shared                // answers that all nodes receive
	Fence                 // fences of all nodes
	Probe                 // this node's own probes
	Room                  // one room
)

const kinds = int(Room) + 1

// isMark reports whether nothing but probes or fences comes: missing them is not missing a message.
func (k Kind) isMark() bool { return k == Probe || k == Fence }

// Interest is a channel, or pattern, and what it stands for. Two interests may have the same channel: that of room b in
// the namespace /a is also that of the namespace /a#b.
type Interest struct {
	Channel   string
	Kind      Kind
	Slot      uint16 // of a sharded channel
	Namespace string
	Room      string
}

// Key names a row.
type Key struct {
	Pattern bool
	Name    string
}

// Key is that of the row for an interest.
func (in Interest) Key() Key { return Key{Pattern: in.Kind <= Namespace, Name: in.Channel} }
