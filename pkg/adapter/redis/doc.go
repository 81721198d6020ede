// Package redis is the adapter that connects the nodes of a cluster over Redis Pub/Sub, on the channels and in the
// bytes of @socket.io/redis-adapter: Node's servers, gateways and emitters mix on one Redis, all requests between
// nodes included. Node's adapter listens to all rooms of the cluster; this one subscribes to those that this node has
// members in. It asks the Node above whether a room has members, and knows nothing of sockets.
//
// # Five words
//
//	Adapter ─ set {dialect, placement} ─ server ─┬─ in: table of rows ◀── Touch, Confirm
//	   │      one or two of them                 ├─ out: queue       ◀── Publish
//	   │                                         └─ probes: out ─▶ Redis ─▶ in
//	   ├─ peers: who is there
//	   └─ questions: who owes an answer
//
// A server is one Redis server whole: a connection in with a table of what it is subscribed to, a connection out with a
// queue, and the probes that go out on one and must come back on the other. A placement maps a channel to a server: to the
// only one, or, on a Redis Cluster with sharded channels, to the master that serves its slot. Both are
// internal/redisserver, which knows nothing of what messages mean.
//
// A dialect says which channels and which bytes: classic is that of Node's createAdapter, sharded that of its
// createShardedAdapter. A node has a list of sets, each a dialect and a placement, and speaks in the first: with sharded
// channels and ClassicEmitters there are two. Nothing but New asks which they are. What dialects have in common is the
// inbox.
//
// Peers are the other nodes of our kind (internal/redispeers). Each writes a record of itself with every heartbeat and reads
// what has changed in those of the others. It claims its tag in the same way, and draws another when a peer has it; the
// patterns of both are subscribed from then on, since there are ids that begin with the old one.
//
// Questions are the open queries (internal/redisquestions). One waits for the peers that are subscribed in the namespace,
// and for as many strangers as listen for requests there, such as Node's servers. A node that leaves one unanswered for
// RequestTimeout is not waited for in the next 30 s, and named as missing. A peer that is alive and subscribed to none of
// its probes is named without being waited for, whatever namespaces it has. A namespace that was closed is answered for,
// with nothing, for as long as its channel is subscribed. Answers over MaxMessage are divided for peers, and cut for Node's
// servers, which take each message for an answer.
//
// # Connections
//
// Each connection is an epoch of its own (internal/redisconn): it is never repaired. The next one first ends its
// predecessor at the server, and the subscription is built up again from the table. A server that is not a master is
// refused, and left when it becomes a replica: planned failovers leave connections alive, and a demoted master accepts
// what is published and passes it on to nobody. The caller's client tells where Redis is, and serves for heartbeats and
// for counting subscribers.
//
// docs/redis.md lists the rights that a user of Redis ACLs needs. What is refused for lack of them is counted, and logged
// once. A refused SUBSCRIBE is split until the forbidden channel is found; it alone is missing, and tried again later.
//
// # Certain
//
// Confirm waits until all channels concerned are subscribed, and then for a fence: a probe that is published after that
// and received on the same connection, with nothing lost in between. All that wait at the same time share one fence, and
// there is one every 2 ms at most. It has a lane of its own in the queue. Where two servers are concerned, both must hold
// together.
//
// Probes go on every second. A subscription on which none comes back although Redis takes them is deaf, as after a
// failover, and is replaced; each next one is given more time, or a slow Redis would never be subscribed.
//
// # Fences
//
// With Config.Fences there is a Fencer. A fence is a message in the queue, in the place of the call, on a channel that gateways alone
// subscribe to, at each server concerned. A lane is a server and a version of its table of subscriptions, which ends with whatever
// may have been missed. On a cluster with classic channels a fence also names its server, since servers pass messages on to one
// another in no common order. A fence has failed unless it came back in the lanes that it was sent in, from servers that still have the
// slots concerned, and no message before it went back into the queue.
//
// # Guarantees
//
// What one goroutine publishes in one namespace arrives in that order, whatever rooms it names; on a Redis Cluster with
// sharded channels, what it publishes for one room, and what it publishes for the namespace or several rooms, unless a
// hash tag in the key, such as {socket.io}, puts all channels at one master. A message whose slot has moved waits at the
// new master until those before it are settled at the old one, and, where its replica has taken that one's place, until what
// it accepted has had time to reach the replica. From the moment at which a node looks for a channel at another server it
// delivers nothing more from the old one.
//
// A message is published at most once: when Redis did not answer, the outcome is unknown, counted, and never tried again. It
// may still come, and then out of order: a master of a cluster that was frozen while its replica was promoted carries out what
// it has received when it goes on, and the bus of the cluster brings it to the subscribers of the new one. What the frozen one
// had delivered and was about to write to the bus comes once more in the same way: nothing in the bytes of Node's adapters tells
// the copies from new messages.
// When Redis answered that it cannot now, it is put back. What a server accepted that is not a master any more has no known
// outcome either. While Redis is away messages wait within bounds of number,
// bytes and age, and the oldest go first. What others publish while the subscription is down is missed;
// redis_resubscribes_total counts the gaps.
//
// # Streams
//
// With Config.Streams commands go through Redis Streams (internal/redisstream), which each node reads whole, from a position that it keeps
// over connections; questions and answers go through Pub/Sub. Then a broken connection loses nothing and nothing is unknown, for as
// long as the stream is not trimmed meanwhile. Each stream has a goroutine that reads and one that writes.
//
// # Goroutines
//
// Run sends heartbeats itself and waits for four goroutines for each server: one connects and receives, one writes
// subscription commands, one publishes (and has one to read the answers), one probes. On a cluster one more finds out which
// master serves what. Everything received goes to the Node on the receiving ones, one message at a time. Timers end
// confirmations and messages that have waited too long. Heartbeats and the counting of nodes use the caller's client on
// goroutines of their own, which outlive Run and the query for as long as that client waits for Redis.
package redis
