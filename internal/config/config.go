package config

import "time"

// Config is the whole configuration, in the order in which it is documented and printed.
//
// The key tag of each field is its name in the file. Its options: "live" marks what a reload changes without a restart,
// "omitempty" what Print leaves out when it was not given. The comments of fields are the texts of docs/configuration.md,
// which a test makes from them: they speak to operators, in terms of the file.
type Config struct {
	// The listener for clients.
	Server Server `key:"server"`
	// The listener for metrics and probes. Never expose it to clients.
	Ops Ops `key:"ops"`
	// How nodes reach each other directly.
	Peer Peer `key:"peer"`
	// Engine.IO: transports, heartbeats, and what may wait for a client.
	Engine Engine `key:"engine"`
	// Socket.IO: packets and namespaces.
	SocketIO SocketIO `key:"socketio"`
	// The Redis that connects the nodes. Exactly one of url, cluster and sentinel; without any, a node is on its own.
	Redis Redis `key:"redis"`
	// How nodes share what they emit.
	Adapter Adapter `key:"adapter"`
	// How a node leaves on SIGTERM.
	Drain Drain `key:"drain"`
	// Bounds that protect a node. 0 means no limit of that kind.
	Limits Limits `key:"limits,live"`
	// How clients prove who they are.
	Auth Auth `key:"auth"`
	// Redis Streams that events are forwarded to, by name. A name has letters, digits, - and _.
	Routes map[string]Route `key:"routes,live"`
	// What clients may do, by namespace: a name, or a prefix ending in `*`. A name wins over prefixes, the longer prefix over the
	// shorter. / is always there. [rules.md](rules.md) has the language.
	Namespaces map[string]Namespace `key:"namespaces,live"`
	// Clients without a Socket.IO library, over plain WebSocket.
	Native Door `key:"native"`
	// Clients that only read, over Server-Sent Events.
	SSE Door `key:"sse"`
	// The HTTP API for backends.
	API API `key:"api"`
	// Rooms whose messages are kept. Needs a Redis.
	History []History `key:"history"`
	// Rooms whose members are told which users are there.
	Presence []Presence `key:"presence"`
	// What the process writes about itself, to standard error.
	Log Log `key:"log"`
}

// Drain is how a node leaves.
type Drain struct {
	// How long the node only reports that it is not ready, until balancers have noticed.
	Delay time.Duration `key:"delay"`
	// Over which time it then closes its clients, evenly. It is gone at the latest 5 s after both.
	Window time.Duration `key:"window"`
}

// Limits protect a node.
type Limits struct {
	// Connections of this node, of which a polling client has two or three. 0: what the file-descriptor limit allows. Above it idle
	// kept-alive connections are closed, and new clients get 503 with Retry-After.
	Connections int `key:"connections"`
	// Clients from one address, or from one /64 of IPv6.
	ConnectionsPerIP int `key:"connections_per_ip"`
	// New connections per second, this node.
	Handshakes int `key:"handshakes"`
	// Requests for unknown sessions per second and address.
	UnknownSIDs int `key:"unknown_sids"`
	// Memory that may wait for all clients together: a size, or a percentage of GOMEMLIMIT or the container's memory. Above it the
	// fullest outboxes go first. As much again may hold what clients have sent: messages of which a part has arrived, and what a
	// connection keeps of its handshake. Above it the largest unfinished messages go first, and new clients get 503.
	OutboxTotal Share `key:"outbox_total"`
	// Rooms of one socket.
	Rooms int `key:"rooms"`
	// Namespaces that exist on this node because a prefix allowed them.
	Namespaces int `key:"namespaces"`
	// Events of one connection, in all its namespaces.
	Events Bucket `key:"events"`
	// Joins of a namespace (CONNECT packets) by one connection, in all namespaces. A connection over it is closed.
	Connects Bucket `key:"connects"`
}

// Bucket is a token bucket.
type Bucket struct {
	// Per second. 0: no limit.
	Rate int `key:"rate"`
	// How many at once. 0: as many as the rate.
	Burst int `key:"burst"`
}

// What Log.Format may say.
const (
	LogJSON    = "json"
	LogConsole = "console"
)

// Log is what the process writes about itself.
type Log struct {
	// debug, info, warn or error. debug has a line for each refused event.
	Level string `key:"level,live"`
	// json, or console for people.
	Format string `key:"format"`
}
