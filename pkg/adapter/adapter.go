package adapter

import (
	"context"
	"errors"
)

// Adapter carries commands and queries between the nodes of a cluster. It knows neither sockets nor membership: what a
// command means is decided by the Node above it, the same way for a command from here and one from elsewhere.
// All methods are safe for concurrent use; none but Run and Ask waits.
type Adapter interface {
	// Run connects the node to its cluster and serves until ctx ends; then it lets go of everything and returns nil. It
	// is called once. An unreachable cluster is not an error: Run keeps trying, and State tells. After Run, what needs
	// a cluster fails with ErrAway.
	Run(ctx context.Context, node Node) error

	// Open makes this node a member of a namespace, Close ends that: it hears, and is asked, in open namespaces only.
	// Both may be called before Run and are idempotent.
	Open(nsp string)
	Close(nsp string)

	// Publish hands c to the other nodes, and to this one where Echoes says so. Commands from one goroutine in one namespace
	// arrive in order. done, when not nil, is called exactly once, perhaps before Publish returns, and must not block: with
	// nil once the cluster took the command, else with ErrFull, ErrAway or ErrUnknown.
	Publish(c Command, done func(error))

	// Echoes reports whether the cluster has one order for the commands of all nodes in a namespace. Then each command that
	// this node publishes, but for a ServerEmit, comes back to it by Node.Deliver in its place in that order, once, and the
	// caller of Publish must not carry it out by itself: a command that the cluster did not take is carried out nowhere.
	// Broadcasts then have an Offset. Without echoes, Publish never reaches this node. The answer never changes.
	Echoes() bool

	// Ask puts q to the other nodes. reply is called for each answer, from one goroutine at a time and never after Ask
	// returned. It ends when every expected node has answered in full, or when ctx or the adapter's own time limit ends,
	// which for a BroadcastAsk is its Timeout; missing names the nodes that had not. A node whose name is not known is
	// named "?". err is for a question that could not be put: an incomplete answer is missing nodes and no error.
	Ask(ctx context.Context, q Query, reply func(Reply)) (missing []string, err error)

	// Touch hints that this node's wish for rooms may have changed, sockets' own rooms included. The adapter asks
	// Node.Holds when it acts on it, so hints may come late, twice or in any order; only, one has to follow each change.
	Touch(nsp string, rooms ...string)

	// Confirm calls done, exactly once, when every later publish to one of rooms, on any node, is certain to reach this
	// node; with ErrAway when that is not so within the adapter's time limit. The caller joined and touched before. done
	// must not block. An adapter may keep the slices given to Touch and Confirm.
	Confirm(nsp string, rooms []string, done func(error))

	// State reports the connection to the cluster.
	State() State
}

// Node is what an adapter needs of the server above it. No method may block or run user code.
type Node interface {
	// Deliver applies a command from the cluster to this node's sockets, and returns to how many. Commands of one node
	// in one namespace come one at a time and in order.
	Deliver(c Command) (sockets int)
	// Answer answers a query from another node; reply is called once for FetchSockets and AllRooms, and for the others as
	// described there, possibly later and from another goroutine. A late reply is dropped.
	Answer(q Query, reply func(Reply))
	// Holds reports whether a socket of this node is in the room, its own room included. It may be called under a lock
	// of the adapter's, and calls nothing of the adapter.
	Holds(nsp, room string) bool
}

// State is a snapshot of an adapter's connection to its cluster.
type State struct {
	Ready     bool // subscribed, and proven so, at least once
	Connected bool // the cluster answers commands
	Deaf      bool // it answers commands, but nothing comes back on the subscription
}

// Why a command did not, or may not have, reached the cluster.
var (
	ErrFull    = errors.New("adapter: publish queue is full")
	ErrAway    = errors.New("adapter: cluster is unavailable")
	ErrUnknown = errors.New("adapter: outcome of publish is unknown")
)
