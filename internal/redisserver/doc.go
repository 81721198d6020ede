// Package redisserver takes part in the Pub/Sub of Redis servers: of one, or of the masters of a cluster.
//
//	Placement ─── Server ─┬─ in: redissub.Table  ◀── Touch, Confirm
//	  Single: one         ├─ out: redisqueue     ◀── Push
//	  Slots: many         └─ probes: out ─▶ Redis ─▶ in
//
// A [Server] is one Redis server whole: a connection in, for which the table says what it is subscribed to, a connection
// out with its queue, and the probes that go out on one and must come back on the other. Each connection is an epoch
// (internal/redisconn): it is never repaired, and what was known of its server ends with it.
//
// A [Placement] maps a channel to a server: to the only one, or, on a Redis Cluster with sharded channels, to the master
// that serves its slot. A [Speech] is what the package need not know: the commands for a kind of channels, which interests
// are wanted, and what is done with messages.
//
// [Confirm] waits until interests are certain, wherever they are. It waits for the subscriptions and then for one fence at
// each server concerned; where there are several, all must hold together.
//
// A [Fence] of the queue is one that all nodes receive: it has its place among the messages of this node, and comes back in a lane,
// which is a server and a version of its table. What is received carries its lane, and [ConfirmLanes] tells it.
package redisserver
