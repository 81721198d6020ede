// Package adapter is the contract between a Socket.IO server and its cluster: the commands nodes do for one another,
// the queries they put to one another, and what each side owes the other. Local is the adapter of a cluster of one.
//
// An Adapter only moves things between nodes. Membership and delivery exist once, above it, behind Node: a command from
// here and one from elsewhere are applied by the same code. The calls go down with Publish, Ask, Touch and Confirm, and
// come up with Deliver, Answer and Holds:
//
//	server ── Publish, Ask, Touch, Confirm ──▶ Adapter ═══ cluster ═══ Adapter ── Deliver, Answer, Holds ──▶ server
//
// What one node publishes in one namespace reaches every other node in that order and at most once. An adapter that echoes
// has one order for all nodes, and hands a node its own commands in their place. Nothing is kept for a node that is away. Neither side holds a lock of its own while it calls the other, except that Holds may be called
// under an adapter's lock, which is why it must only look.
//
// A [Fencer], which some adapters have, cuts that order at the same place on every node.
//
// Package adaptertest has an in-memory cluster for the tests of what is above, and the suite that every adapter passes.
package adapter
