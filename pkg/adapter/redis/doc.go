// Package redis is the adapter that connects the nodes of a cluster over Redis Pub/Sub, on the channels and in the
// bytes of @socket.io/redis-adapter: Node's servers, gateways and emitters mix on one Redis, all requests between
// nodes included. Node's adapter listens to all rooms of the cluster; this one subscribes to those that this node has
// members in. It keeps no membership itself, and knows nothing of sockets.
//
// # Connections
//
// Two connections of its own, one to publish and one to subscribe, each in a go-redis client that can neither reconnect
// nor repeat by itself. When one fails it is given up for good: the next one first ends its predecessor at the server,
// and the subscription is built up again from a table of what is wanted. The caller's client tells where Redis is, and
// serves for counting subscribers.
//
// A user of Redis ACLs needs PUBLISH, SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE, PUBSUB, PING and HELLO, the
// channels <key>* and <prefix>:probe:*, and should have CLIENT INFO and CLIENT KILL: without them a half-open
// predecessor lives on until the server notices.
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
// Run starts four and waits for them: one connects and receives, one writes subscription commands, one publishes, one
// probes. Everything received goes to the Node on the first of them, one message after the other. Timers end
// confirmations and messages that have waited too long; a query counts the nodes on a goroutine of its own, which
// outlives the query for as long as the caller's client waits for Redis.
package redis
