// Package hub is one namespace on one node: its members, their rooms, and what commands and queries mean to them.
//
//	Emitter ──► Publish ──┬─► Apply ◄── adapter.Node.Deliver     here and there a command means the same
//	                      └─► adapter.Publish
//
// A [Member] is a [Recipient], whatever that is: the hub knows no client and calls no handler.
package hub
