// Package redispeers knows the other nodes of a cluster by the records that they keep in Redis, and keeps the record of
// this one.
//
//	Membership ── heartbeats ──▶ register ──▶ Redis: one record a node, a stream of changes
//	    │                            │
//	    └── Peers ◀── records ───────┘
//
// A [Record] is what a node writes about itself with every heartbeat. The register is how records are written and read.
// [Peers] is what this node concludes: which nodes are alive, and which of them a question may expect an answer from. A
// [Membership] runs the heartbeats. It claims the node's tag, the four characters that the ids of its sockets begin with,
// and draws another one when a peer has it.
//
// Everything is one slot of a Redis Cluster, and needs Redis 6.2.
package redispeers
