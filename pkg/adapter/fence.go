package adapter

// Fencer is what some adapters offer besides: they cut the order of commands into what came before a fence and what comes
// after it, at the same place on every node. What moves between nodes, and must neither miss nor repeat a command, is handed
// over at such a cut. All methods are safe for concurrent use, and none waits, but for Follow.
type Fencer interface {
	// Fence publishes a fence behind everything that this node has published so far, on each server that commands for nsp or
	// for one of rooms go through. Every node that has nsp open receives it in its place, this one included; lanes are those
	// in which it comes back here.
	//
	// done is called exactly once, perhaps before Fence returns, and must not block: with nil once the fence has come back in all
	// lanes, and everything that this node published before was published before it. Else with ErrFull, ErrAway or ErrUnknown: it
	// was dropped or refused, a subscription broke, channels went to another server, or the adapter's time limit has passed. The
	// fence then counts for nothing, even where nodes have received it.
	Fence(nsp string, rooms []string, done func(error)) (f Fence, lanes []Lane)

	// ConfirmLanes is Confirm. It also tells the lanes in which everything for nsp and rooms comes from then on.
	ConfirmLanes(nsp string, rooms []string, done func(lanes []Lane, err error))

	// Whole reports whether none of the lanes has ended.
	Whole(lanes []Lane) bool

	// Follow has the commands of a namespace come with their lanes, this node's own ones too, and has its fences come, until
	// stop is called. Calls are counted. Without any, own commands are skipped before they are decoded. Follow waits for the
	// delivery to the node that is in progress, which may have begun without a lane: otherwise that command could
	// take effect only after a fence that came behind it. So the node must not call Follow while it handles a delivery.
	Follow(nsp string) (stop func())
}

// Fence names one fence in the whole cluster. Its zero value names none.
type Fence struct {
	Node   string // which published it
	Number uint64 // which of that node's
}

// Lane is an order in which this node receives: all that one server passes on through one unbroken subscription. In a lane
// commands and fences of all nodes come in the order in which they come to every other node from that server. A lane ends, and
// another begins, when something may have been missed: the subscription was lost, or channels went to another server. Numbers
// mean nothing on other nodes and are not used again; 0 is no lane.
type Lane uint64

// Arrival is how a command came to this node.
type Arrival struct {
	Lane Lane
	// Own: this node published the command itself, and did then what it says. This is its place among the commands of all
	// nodes. A command that could not be published never comes.
	Own bool
	// Offset is the command's place in the order of an adapter that echoes, as Broadcast.Offset; else empty. Own is false there:
	// nothing was done before.
	Offset string
	// Stored: a Disconnect which the nodes were also asked to Perform. It ends the stored sessions that match, those among them
	// that this node has taken, and no others: later sockets in the same rooms stay.
	Stored bool
}

// FenceNode is a Node that follows namespaces. A Fencer is only to be used if the Node given to Run is one.
type FenceNode interface {
	Node
	// DeliverAt takes the place of Deliver in a namespace that is followed, and everywhere with an adapter that echoes.
	DeliverAt(c Command, at Arrival) (sockets int)
	// Fenced is called for each fence of a namespace that is followed, once for each lane, in its place among the commands of
	// that lane. With lane 0 it is no cut: it was published at another server than the one that this node is subscribed at.
	Fenced(nsp string, f Fence, lane Lane)
}

// FencerOf returns the Fencer of an adapter; nil when it has none.
func FencerOf(a Adapter) Fencer {
	if has, ok := a.(interface{ Fencer() Fencer }); ok {
		return has.Fencer()
	}
	return nil
}
