// Package recovery brings a client whose connection broke back as the same socket, with what it missed.
//
//	                      ┌───────────────────────── Log of a namespace ──────────────────────────┐
//	an event ──► place ──►│ 101 to room a   102 to everyone   103 to one socket   104 to room b … │ ◄── Replay ◄── Session
//	             offset   └────────────────────────────────────────────────────────────────────────┘      rooms at 101, 102 …
//	               │                                                                                        from its Journal
//	               ▼
//	         every client, as the event's last argument; the client names the last one when it comes back
//
// A [Log] gives each event of a namespace its place, in the order in which this node delivers them, and keeps the event
// for a while. One log serves all sockets; an index by room makes a replay cost what it replays. An offset is a place as
// clients carry it, signed.
//
// A [Session] is what outlives a connection: a secret (pid) that its client claims it with, the id of its socket, and a
// journal of the rooms it has joined and left, from which the rooms of any moment follow. It is held by a connection,
// absent, or over; a [Holder] is the connection. While a client is behind, a [Replay] draws what it missed from the log as
// the connection takes it.
//
// A [Store] bounds all of it on one node: the oldest goes first, be it an event or an absent session.
//
// Locks are taken in this order: Log.Begin's, the connection's, Log.mu, Store.mu or entry.mu.
package recovery
