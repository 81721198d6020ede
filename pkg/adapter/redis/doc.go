// Package redis is the adapter that connects the nodes of a cluster over Redis Pub/Sub, on the channels and in the
// bytes of @socket.io/redis-adapter: Node's servers, gateways and emitters mix on one Redis, all requests between
// nodes included. Node's adapter listens to all rooms of the cluster; this one subscribes to those that this node has
// members in. Who is in a room it asks the Node above, and it knows nothing of sockets.
//
// # Connections
//
// Two connections of its own, one to publish and one to subscribe, each in a go-redis client that can neither reconnect
// nor repeat by itself. When one fails it is given up for good: the next one first ends its predecessor at the server,
// and the subscription is built up again from a table of what is wanted. The caller's client tells where Redis is, and
// serves for heartbeats and for counting subscribers.
//
// docs/redis.md lists the rights that a user of Redis ACLs needs. What is refused for lack of them is counted, and
// logged once.
//
// # Nodes
//
// Each node has a heartbeat in Redis, a key that expires, and reads those of the others; it claims its tag there in the
// same way, and draws another when somebody has it. The patterns of both are heard from then on, since there are ids
// that begin with the old one. A query waits for the nodes with heartbeats that listen in the namespace, and for as many others as listen
// for requests there, such as Node's servers. Whoever leaves one unanswered for RequestTimeout is not waited for in the
// next 30 s, and named as missing. A node with heartbeats whose subscription is down is named without being waited for,
// whatever namespaces it has: its heartbeats tell on which channels it probes, and nobody has subscribed to them.
//
// # Sharded channels
//
// With Config.Sharding the node speaks on sharded channels instead, as Node's createShardedAdapter does: on the one
// Redis there is, or on every master of a Redis Cluster, with a connection to publish and one to subscribe at each. A
// channel is subscribed and published at the master that serves its slot. When a slot moves, Redis ends the
// subscription and refuses messages, and says where the slot is; subscriptions follow, and messages wait and follow in
// their order. When a master fails, the others are asked who serves its slots now, and all but its channels go on
// meanwhile. State tells of the worst master. With ClassicEmitters two more connections hear what emitters publish on
// classic channels.
//
// On a Redis Cluster order is kept among messages for the same single room, and among all others of a namespace, unless
// a hash tag in the key, such as {socket.io}, puts all channels at one master. Node has no question for all rooms:
// AllRooms asks it for its sockets, which tell theirs.
//
// # Guarantees
//
// What one goroutine publishes in one namespace arrives in that order, whatever rooms it names. A message is
// published at most once: when Redis did not answer, the outcome is unknown, counted, and never tried again. While
// Redis is away messages wait within bounds of number, bytes and age, and the oldest go first. What others publish
// while the subscription is down is missed; redis_resubscribes_total counts the gaps.
//
// Confirm tells when a room is heard for certain: its channel and that of the namespace are confirmed on the present
// connection, and a probe to ourselves has come back on it. Probes go on every second. A subscription on which none
// comes back although Redis takes them is deaf, as after a failover, and is replaced.
//
// # Goroutines
//
// Run sends heartbeats itself, and starts four that it waits for: one connects and receives, one writes subscription
// commands, one publishes, one probes. Everything received goes to the Node on the first, one message after the other.
// With sharded channels there are four for each master, and one that finds out which serves what; they take turns to
// call the Node. Timers end confirmations and messages that have waited too long. Heartbeats and the counting of nodes
// use the caller's client on goroutines of their own, which outlive Run and the query for as long as that client waits
// for Redis.
package redis
