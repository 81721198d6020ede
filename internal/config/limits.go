package config

import "time"

// Drain is how a node leaves: it waits Delay for the load balancer, then closes its clients over Window.
type Drain struct {
	Delay  time.Duration `key:"delay"`
	Window time.Duration `key:"window"`
}

// Limits protect a node. Zero means no limit of that kind.
type Limits struct {
	// Connections of this node; at zero what the file-descriptor limit allows.
	Connections      int `key:"connections"`
	ConnectionsPerIP int `key:"connections_per_ip"`
	// Handshakes per second on this node.
	Handshakes int `key:"handshakes"`
	// UnknownSIDs is how many requests for unknown sessions an address may make per second.
	UnknownSIDs int `key:"unknown_sids"`
	// OutboxTotal bounds what waits for all clients together.
	OutboxTotal Share `key:"outbox_total"`
	// Rooms of one socket.
	Rooms int `key:"rooms"`
	// Namespaces that exist on this node because a pattern allowed them.
	Namespaces int `key:"namespaces"`
	// Events and Connects of one connection, in all its namespaces.
	Events   Bucket `key:"events"`
	Connects Bucket `key:"connects"`
}

// Bucket is a token bucket: Rate per second, Burst at once. Without a Rate there is no limit.
type Bucket struct {
	Rate  int `key:"rate"`
	Burst int `key:"burst"`
}
